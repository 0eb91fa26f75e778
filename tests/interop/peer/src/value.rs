/* SPDX-License-Identifier: Apache-2.0 */
//! How argument values are written in commands and reports: see ../../README.md, "Values".
//! Every text form is exact, so that a test can compare strings.

use ractor_cluster::derive_serialization_for_prost_type;

pub trait Value: Sized {
    fn parse(text: &str) -> Option<Self>;
    fn show(&self) -> String;
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct Operands {
    #[prost(double, tag = "1")]
    pub a: f64,
    #[prost(double, tag = "2")]
    pub b: f64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct Expression {
    #[prost(string, tag = "1")]
    pub text: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct CalcResult {
    #[prost(double, tag = "1")]
    pub value: f64,
}

derive_serialization_for_prost_type! {Operands}
derive_serialization_for_prost_type! {Expression}
derive_serialization_for_prost_type! {CalcResult}

/// A list is comma-separated; the empty list is "-".
fn parse_list<T: Value>(text: &str) -> Option<Vec<T>> {
    match text {
        "-" => Some(Vec::new()),
        _ => text.split(',').map(T::parse).collect(),
    }
}

fn show_list<T: Value>(list: &[T]) -> String {
    if list.is_empty() {
        return "-".to_string();
    }
    list.iter().map(T::show).collect::<Vec<_>>().join(",")
}

macro_rules! decimal {
    ($($ty:ty),*) => {$(
        impl Value for $ty {
            fn parse(text: &str) -> Option<Self> { text.parse().ok() }
            fn show(&self) -> String { self.to_string() }
        }
    )*};
}
decimal!(u8, u16, u32, u64, u128, i8, i16, i32, i64, i128, bool);

macro_rules! list {
    ($($ty:ty),*) => {$(
        impl Value for Vec<$ty> {
            fn parse(text: &str) -> Option<Self> { parse_list(text) }
            fn show(&self) -> String { show_list(self) }
        }
    )*};
}
list!(u16, u32, u64, u128, i8, i16, i32, i64, i128, f32, f64, bool, char);

/// Floats are their bit patterns, so that NaN and -0.0 compare.
impl Value for f32 {
    fn parse(text: &str) -> Option<Self> {
        u32::from_str_radix(text, 16).ok().map(f32::from_bits)
    }
    fn show(&self) -> String {
        format!("{:08x}", self.to_bits())
    }
}

impl Value for f64 {
    fn parse(text: &str) -> Option<Self> {
        u64::from_str_radix(text, 16).ok().map(f64::from_bits)
    }
    fn show(&self) -> String {
        format!("{:016x}", self.to_bits())
    }
}

impl Value for char {
    fn parse(text: &str) -> Option<Self> {
        u32::from_str_radix(text, 16).ok().and_then(char::from_u32)
    }
    fn show(&self) -> String {
        format!("{:x}", u32::from(*self))
    }
}

impl Value for () {
    fn parse(text: &str) -> Option<Self> {
        (text == "-").then_some(())
    }
    fn show(&self) -> String {
        "-".to_string()
    }
}

/// Bytes are hex; "@N" stands for N bytes of the pattern i % 251.  What is longer than 64 bytes is shown as
/// "@length:hash", the hash being FNV-1a of 64 bits.
impl Value for Vec<u8> {
    fn parse(text: &str) -> Option<Self> {
        if let Some(n) = text.strip_prefix('@') {
            return Some((0..n.parse::<usize>().ok()?).map(|i| (i % 251) as u8).collect());
        }
        if text == "-" {
            return Some(Vec::new());
        }
        if text.len() % 2 != 0 {
            return None;
        }
        (0..text.len() / 2).map(|i| u8::from_str_radix(text.get(2 * i..2 * i + 2)?, 16).ok()).collect()
    }
    fn show(&self) -> String {
        match self.len() {
            0 => "-".to_string(),
            1..=64 => self.iter().map(|b| format!("{b:02x}")).collect(),
            n => format!("@{n}:{:016x}", fnv1a(self)),
        }
    }
}

/// A string is the hex of its UTF-8; "@N" stands for N letters, a to z over and over.
impl Value for String {
    fn parse(text: &str) -> Option<Self> {
        if let Some(n) = text.strip_prefix('@') {
            return Some((0..n.parse::<usize>().ok()?).map(|i| (b'a' + (i % 26) as u8) as char).collect());
        }
        String::from_utf8(Vec::<u8>::parse(text)?).ok()
    }
    fn show(&self) -> String {
        self.as_bytes().to_vec().show()
    }
}

impl Value for Operands {
    fn parse(text: &str) -> Option<Self> {
        let (a, b) = text.split_once(':')?;
        Some(Operands { a: f64::parse(a)?, b: f64::parse(b)? })
    }
    fn show(&self) -> String {
        format!("{}:{}", self.a.show(), self.b.show())
    }
}

impl Value for Expression {
    fn parse(text: &str) -> Option<Self> {
        String::parse(text).map(|text| Expression { text })
    }
    fn show(&self) -> String {
        self.text.show()
    }
}

impl Value for CalcResult {
    fn parse(text: &str) -> Option<Self> {
        f64::parse(text).map(|value| CalcResult { value })
    }
    fn show(&self) -> String {
        self.value.show()
    }
}

fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf29ce484222325, |hash, b| (hash ^ u64::from(*b)).wrapping_mul(0x100000001b3))
}
