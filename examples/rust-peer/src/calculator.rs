/* SPDX-License-Identifier: Apache-2.0 */
//! The service calc.Calculator of examples/calculator, as ractor writes it.  The protobuf messages are spelt out with
//! prost's derive, so that no protobuf compiler is needed; prost-build would make the same from the .proto file.

use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};
use ractor_cluster::{derive_serialization_for_prost_type, RactorClusterMessage};

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

/// One variant for each method of the service; its name is what goes over the wire.
#[derive(RactorClusterMessage)]
pub enum CalculatorMsg {
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

pub struct Calculator;

impl Actor for Calculator {
    type Msg = CalculatorMsg;
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<CalculatorMsg>, (): ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }

    async fn handle(
        &self,
        _: ActorRef<CalculatorMsg>,
        message: CalculatorMsg,
        _: &mut (),
    ) -> Result<(), ActorProcessingErr> {
        let (value, reply) = match message {
            CalculatorMsg::Add(x, reply) => (Some(x.a + x.b), reply),
            CalculatorMsg::Sub(x, reply) => (Some(x.a - x.b), reply),
            CalculatorMsg::Mul(x, reply) => (Some(x.a * x.b), reply),
            CalculatorMsg::Div(x, reply) => (divide(x.a, x.b), reply),
            CalculatorMsg::Eval(x, reply) => (eval(&x.text), reply),
        };
        /* ractor's protocol has no error reply.  Without an answer the caller's time runs out. */
        if let Some(value) = value {
            let _ = reply.send(CalcResult { value });
        }
        Ok(())
    }
}

fn divide(a: f64, b: f64) -> Option<f64> {
    (b != 0.0).then(|| a / b)
}

/// "10 + 5": two numbers and an operator between them.
fn eval(text: &str) -> Option<f64> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let [a, operator, b] = words.as_slice() else { return None };
    let (a, b): (f64, f64) = (a.parse().ok()?, b.parse().ok()?);
    match *operator {
        "+" => Some(a + b),
        "-" => Some(a - b),
        "*" => Some(a * b),
        "/" => divide(a, b),
        _ => None,
    }
}
