/* SPDX-License-Identifier: Apache-2.0 */
//! The calculator of the examples (package calc), and an actor whose message type is a bare String.

use crate::probe::ask;
use crate::report;
use crate::value::{CalcResult, Expression, Operands, Value};
use ractor::{Actor, ActorCell, ActorProcessingErr, ActorRef, RpcReplyPort};
use ractor_cluster::RactorClusterMessage;
use std::time::Duration;

#[derive(RactorClusterMessage)]
pub enum CalcMsg {
    #[rpc]
    Add(Operands, RpcReplyPort<CalcResult>),
    #[rpc]
    Sub(Operands, RpcReplyPort<CalcResult>),
    #[rpc]
    Mul(Operands, RpcReplyPort<CalcResult>),
    #[rpc]
    Div(Operands, RpcReplyPort<CalcResult>),
    #[rpc]
    Eval(Expression, RpcReplyPort<CalcResult>),
}

/// Numbers of the calculator are decimal in commands.
pub async fn call(
    cell: ActorCell,
    variant: &str,
    timeout: Option<Duration>,
    args: &[String],
) -> Result<String, String> {
    let number = |i: usize| args.get(i).and_then(|text| text.parse().ok()).ok_or(format!("bad argument {i}"));
    let answer = match variant {
        "Add" | "Sub" | "Mul" | "Div" => {
            let operands = Operands { a: number(0)?, b: number(1)? };
            let make = match variant {
                "Add" => CalcMsg::Add,
                "Sub" => CalcMsg::Sub,
                "Mul" => CalcMsg::Mul,
                _ => CalcMsg::Div,
            };
            ask(cell, timeout, |port| make(operands, port)).await
        }
        "Eval" => ask(cell, timeout, |port| CalcMsg::Eval(Expression { text: args.join(" ") }, port)).await,
        _ => return Err("no such variant".into()),
    };
    answer.map(|bits| f64::parse(&bits).unwrap().to_string())
}

fn eval(text: &str) -> Option<f64> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let [a, op, b] = words.as_slice() else { return None };
    operate(op, a.parse().ok()?, b.parse().ok()?)
}

fn operate(op: &str, a: f64, b: f64) -> Option<f64> {
    match op {
        "+" => Some(a + b),
        "-" => Some(a - b),
        "*" => Some(a * b),
        "/" if b != 0.0 => Some(a / b),
        _ => None,
    }
}

pub struct Calc;

impl Actor for Calc {
    type Msg = CalcMsg;
    type State = String;
    type Arguments = String;

    async fn pre_start(&self, _: ActorRef<CalcMsg>, name: String) -> Result<String, ActorProcessingErr> {
        Ok(name)
    }

    async fn handle(
        &self,
        _: ActorRef<CalcMsg>,
        message: CalcMsg,
        name: &mut String,
    ) -> Result<(), ActorProcessingErr> {
        let (variant, op, operands, port) = match message {
            CalcMsg::Add(operands, port) => ("Add", "+", operands, port),
            CalcMsg::Sub(operands, port) => ("Sub", "-", operands, port),
            CalcMsg::Mul(operands, port) => ("Mul", "*", operands, port),
            CalcMsg::Div(operands, port) => ("Div", "/", operands, port),
            CalcMsg::Eval(expression, port) => {
                report::message("call", name, "Eval", &[expression.show()]);
                if let Some(value) = eval(&expression.text) {
                    let _ = port.send(CalcResult { value });
                }
                return Ok(());
            }
        };
        report::message("call", name, variant, &[operands.show()]);
        /* ractor has no error reply: what cannot be answered is dropped, and the caller's time runs out. */
        if let Some(value) = operate(op, operands.a, operands.b) {
            let _ = port.send(CalcResult { value });
        }
        Ok(())
    }
}

pub struct Text;

impl Actor for Text {
    type Msg = String;
    type State = String;
    type Arguments = String;

    async fn pre_start(&self, _: ActorRef<String>, name: String) -> Result<String, ActorProcessingErr> {
        Ok(name)
    }

    async fn handle(&self, _: ActorRef<String>, message: String, name: &mut String) -> Result<(), ActorProcessingErr> {
        report::message("cast", name, "", &[message.show()]);
        Ok(())
    }
}
