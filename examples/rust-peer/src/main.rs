/* SPDX-License-Identifier: Apache-2.0 */
//! A Rust program in a Hardtack cluster.  It serves a calculator in the process group "calculators", and calls those
//! that it finds there on other nodes, written in C or in Rust: it cannot tell which.

mod calculator;

use calculator::{Calculator, CalculatorMsg, Operands};
use ractor::rpc::CallResult;
use ractor::{pg, Actor, ActorId, ActorRef};
use ractor_cluster::{client_connect, NodeServer};
use std::collections::HashSet;
use std::time::Duration;

const GROUP: &str = "calculators";
const TIMEOUT: Duration = Duration::from_secs(1);

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().collect();
    let [_, cookie_file, port, peers @ ..] = args.as_slice() else {
        eprintln!("usage: rust-peer COOKIE_FILE PORT [HOST:PORT ...]");
        std::process::exit(2);
    };

    /* A node: a listener, a name ("rust@localhost") and a cookie. */
    let cookie = std::fs::read_to_string(cookie_file)?.trim().to_string();
    let node = NodeServer::new(port.parse()?, cookie, "rust".into(), "localhost".into(), None, None);
    let (node, node_task) = Actor::spawn(None, node, ()).await?;

    /* An actor that other nodes can find, since it is in a group. */
    let (calculator, _) = Actor::spawn(Some("rust-calculator".into()), Calculator, ()).await?;
    pg::join(GROUP.into(), vec![calculator.get_cell()]);

    for peer in peers {
        client_connect(&node, peer).await?;
    }
    println!("rust-peer: listening on port {port}");

    tokio::select! {
        _ = call_every_newcomer() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    node.stop(None);
    node_task.await?;
    Ok(())
}

/// Twice a second, look for calculators of other nodes that were not there before, and let each of them calculate.
async fn call_every_newcomer() {
    let mut known: HashSet<ActorId> = HashSet::new();
    loop {
        for actor in pg::get_members(&GROUP.to_string()) {
            if !actor.get_id().is_local() && known.insert(actor.get_id()) {
                let remote: ActorRef<CalculatorMsg> = actor.into();
                println!("rust-peer: 10 + 5 is {} according to {}", ten_plus_five(&remote).await, remote.get_id());
            }
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

async fn ten_plus_five(remote: &ActorRef<CalculatorMsg>) -> String {
    let operands = Operands { a: 10.0, b: 5.0 };
    match remote.call(|reply| CalculatorMsg::Add(operands, reply), Some(TIMEOUT)).await {
        Ok(CallResult::Success(result)) => result.value.to_string(),
        Ok(CallResult::Timeout) => "unknown (no answer in time)".into(),
        Ok(CallResult::SenderError) => "unknown (the call was dropped, or the node went down)".into(),
        Err(error) => format!("unknown ({error})"),
    }
}
