/* SPDX-License-Identifier: Apache-2.0 */
//! The probe: an actor with a cast and an rpc for every argument type that ractor can convert, and the ways in which
//! a call can go wrong.  It reports what it receives.

use crate::report;
use crate::value::{CalcResult, Expression, Operands, Value};
use ractor::rpc::CallResult;
use ractor::{Actor, ActorCell, ActorProcessingErr, ActorRef, Message, RpcReplyPort};
use ractor_cluster::RactorClusterMessage;
use std::time::Duration;

/// Call `cell` and put the answer, or why there is none, into text.
pub async fn ask<M: Message, R: Value + Send + 'static>(
    cell: ActorCell,
    timeout: Option<Duration>,
    make: impl FnOnce(RpcReplyPort<R>) -> M,
) -> Result<String, String> {
    match ActorRef::<M>::from(cell).call(make, timeout).await {
        Ok(CallResult::Success(value)) => Ok(value.show()),
        Ok(CallResult::Timeout) => Err("timeout".into()),
        Ok(CallResult::SenderError) => Err("no reply".into()),
        Err(_) => Err("closed".into()),
    }
}

fn arg<T: Value>(args: &[String], i: usize) -> Result<T, String> {
    args.get(i).and_then(|text| T::parse(text)).ok_or(format!("bad argument {i}"))
}

macro_rules! probe {
    ($($cast:ident $echo:ident $ty:ty;)*) => {
        #[derive(RactorClusterMessage)]
        pub enum ProbeMsg {
            $(
                $cast($ty),
                #[rpc]
                $echo($ty, RpcReplyPort<$ty>),
            )*

            Tick,
            Pair(String, u64),
            Named { id: u32, label: String },
            Seq(u64),
            Die,

            #[rpc]
            Ping(RpcReplyPort<()>),
            #[rpc]
            Join(u8, i64, String, RpcReplyPort<String>),
            #[rpc]
            PortFirst { reply: RpcReplyPort<u64>, id: u32, label: String },
            #[rpc]
            SeqCheck(RpcReplyPort<u64>),
            #[rpc]
            Never(RpcReplyPort<u8>),
            #[rpc]
            Drop(RpcReplyPort<u8>),
            #[rpc]
            Late(u64, RpcReplyPort<u64>),
            #[rpc]
            Panic(RpcReplyPort<u8>),
        }

        pub async fn cast(cell: ActorCell, variant: &str, args: &[String]) -> Result<String, String> {
            let message = match variant {
                $(stringify!($cast) => ProbeMsg::$cast(arg(args, 0)?),)*
                "Tick" => ProbeMsg::Tick,
                "Pair" => ProbeMsg::Pair(arg(args, 0)?, arg(args, 1)?),
                "Named" => ProbeMsg::Named { id: arg(args, 0)?, label: arg(args, 1)? },
                "Seq" => ProbeMsg::Seq(arg(args, 0)?),
                "Die" => ProbeMsg::Die,
                _ => return Err("no such variant".into()),
            };
            match ActorRef::<ProbeMsg>::from(cell).cast(message) {
                Ok(()) => Ok("sent".into()),
                Err(_) => Err("closed".into()),
            }
        }

        pub async fn call(
            cell: ActorCell,
            variant: &str,
            timeout: Option<Duration>,
            args: &[String],
        ) -> Result<String, String> {
            match variant {
                $(stringify!($echo) => {
                    let value: $ty = arg(args, 0)?;
                    ask(cell, timeout, |port| ProbeMsg::$echo(value, port)).await
                })*
                "Ping" => ask(cell, timeout, ProbeMsg::Ping).await,
                "Join" => {
                    let (a, b, c) = (arg(args, 0)?, arg(args, 1)?, arg(args, 2)?);
                    ask(cell, timeout, |port| ProbeMsg::Join(a, b, c, port)).await
                }
                "PortFirst" => {
                    let (id, label) = (arg(args, 0)?, arg(args, 1)?);
                    ask(cell, timeout, |reply| ProbeMsg::PortFirst { reply, id, label }).await
                }
                "SeqCheck" => ask(cell, timeout, ProbeMsg::SeqCheck).await,
                "Never" => ask(cell, timeout, ProbeMsg::Never).await,
                "Drop" => ask(cell, timeout, ProbeMsg::Drop).await,
                "Late" => {
                    let ms = arg(args, 0)?;
                    ask(cell, timeout, |port| ProbeMsg::Late(ms, port)).await
                }
                "Panic" => ask(cell, timeout, ProbeMsg::Panic).await,
                _ => crate::calc::call(cell, variant, timeout, args).await,
            }
        }

        impl ProbeState {
            /// Report the message, then answer it if it wants an answer.
            fn receive(&mut self, message: ProbeMsg) {
                match message {
                    $(
                        ProbeMsg::$cast(value) => self.got("cast", stringify!($cast), &[value.show()]),
                        ProbeMsg::$echo(value, port) => {
                            self.got("call", stringify!($echo), &[value.show()]);
                            let _ = port.send(value);
                        }
                    )*
                    other => self.receive_special(other),
                }
            }
        }
    };
}

probe! {
    U8 EchoU8 u8;
    U16 EchoU16 u16;
    U32 EchoU32 u32;
    U64 EchoU64 u64;
    U128 EchoU128 u128;
    I8 EchoI8 i8;
    I16 EchoI16 i16;
    I32 EchoI32 i32;
    I64 EchoI64 i64;
    I128 EchoI128 i128;
    F32 EchoF32 f32;
    F64 EchoF64 f64;
    Bool EchoBool bool;
    Char EchoChar char;
    Unit EchoUnit ();
    Str EchoStr String;
    Bytes EchoBytes Vec<u8>;
    VecU16 EchoVecU16 Vec<u16>;
    VecU32 EchoVecU32 Vec<u32>;
    VecU64 EchoVecU64 Vec<u64>;
    VecU128 EchoVecU128 Vec<u128>;
    VecI8 EchoVecI8 Vec<i8>;
    VecI16 EchoVecI16 Vec<i16>;
    VecI32 EchoVecI32 Vec<i32>;
    VecI64 EchoVecI64 Vec<i64>;
    VecI128 EchoVecI128 Vec<i128>;
    VecF32 EchoVecF32 Vec<f32>;
    VecF64 EchoVecF64 Vec<f64>;
    VecBool EchoVecBool Vec<bool>;
    VecChar EchoVecChar Vec<char>;
    Operands EchoOperands Operands;
    Expression EchoExpression Expression;
    CalcResult EchoCalcResult CalcResult;
}

pub struct Probe;

pub struct ProbeState {
    name: String,
    seq_next: u64,
    seq_ok: bool,
    unanswered: Vec<RpcReplyPort<u8>>,
}

impl ProbeState {
    fn got(&self, kind: &str, variant: &str, args: &[String]) {
        report::message(kind, &self.name, variant, args);
    }

    fn receive_special(&mut self, message: ProbeMsg) {
        match message {
            ProbeMsg::Tick => self.got("cast", "Tick", &[]),
            ProbeMsg::Pair(a, b) => self.got("cast", "Pair", &[a.show(), b.show()]),
            ProbeMsg::Named { id, label } => self.got("cast", "Named", &[id.show(), label.show()]),
            ProbeMsg::Seq(n) => {
                self.seq_ok &= n == self.seq_next;
                self.seq_next += 1;
            }
            ProbeMsg::Die => {
                self.got("cast", "Die", &[]);
                panic!("asked to die");
            }
            ProbeMsg::Ping(port) => {
                self.got("call", "Ping", &[]);
                let _ = port.send(());
            }
            ProbeMsg::Join(a, b, c, port) => {
                self.got("call", "Join", &[a.show(), b.show(), c.show()]);
                let _ = port.send(format!("{a} {b} {c}"));
            }
            ProbeMsg::PortFirst { reply, id, label } => {
                self.got("call", "PortFirst", &[id.show(), label.show()]);
                let _ = reply.send(u64::from(id) + label.len() as u64);
            }
            ProbeMsg::SeqCheck(port) => {
                let answer = if self.seq_ok { self.seq_next } else { u64::MAX };
                (self.seq_next, self.seq_ok) = (0, true);
                let _ = port.send(answer);
            }
            ProbeMsg::Never(port) => {
                self.got("call", "Never", &[]);
                self.unanswered.push(port);
            }
            ProbeMsg::Drop(_) => self.got("call", "Drop", &[]),
            ProbeMsg::Late(ms, port) => {
                self.got("call", "Late", &[ms.show()]);
                tokio::spawn(async move {
                    tokio::time::sleep(Duration::from_millis(ms)).await;
                    let _ = port.send(ms);
                });
            }
            ProbeMsg::Panic(_) => {
                self.got("call", "Panic", &[]);
                panic!("asked to panic");
            }
            _ => unreachable!("handled by receive()"),
        }
    }
}

impl Actor for Probe {
    type Msg = ProbeMsg;
    type State = ProbeState;
    type Arguments = String;

    async fn pre_start(&self, _: ActorRef<ProbeMsg>, name: String) -> Result<ProbeState, ActorProcessingErr> {
        Ok(ProbeState { name, seq_next: 0, seq_ok: true, unanswered: Vec::new() })
    }

    async fn handle(
        &self,
        _: ActorRef<ProbeMsg>,
        message: ProbeMsg,
        state: &mut ProbeState,
    ) -> Result<(), ActorProcessingErr> {
        state.receive(message);
        Ok(())
    }
}
