/* SPDX-License-Identifier: Apache-2.0 */
//! A node of ractor_cluster for the interoperability tests: it takes commands on standard input and answers on
//! standard output.  ../../README.md describes both; ../../cpeer.c is the same program on Hardtack.  It ends when its
//! standard input does.

mod calc;
mod options;
mod probe;
mod report;
mod tls;
mod value;

use options::Options;
use ractor::pg::{self, GroupChangeMessage};
use ractor::{registry, Actor, ActorCell, ActorProcessingErr, ActorRef, SupervisionEvent};
use ractor_cluster::node::{NodeConnectionMode, NodeServerSessionInformation};
use ractor_cluster::{NodeEventSubscription, NodeServer, NodeServerMessage, RactorMessage};
use serde_json::{json, Value};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader};
use value::Value as _;

#[tokio::main]
async fn main() {
    let options = Options::from_args();
    let server = start(&options).await;
    report::event(json!({
        "ev": "listening", "kind": env!("CARGO_PKG_NAME"), "port": listening_port(),
        "name": format!("{}@{}", options.name, options.hostname),
    }));
    for address in &options.dial {
        report::result("dial", dial(&server, &options, address, None).await);
    }

    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let words: Vec<String> = line.split_whitespace().map(String::from).collect();
        let [id, command, args @ ..] = words.as_slice() else { continue };
        if command == "quit" {
            break;
        }
        execute(&server, &options, id, command, args).await;
    }
    std::process::exit(0);
}

async fn start(options: &Options) -> ActorRef<NodeServerMessage> {
    let mode = if options.transitive { NodeConnectionMode::Transitive } else { NodeConnectionMode::Isolated };
    let mut node = NodeServer::new(
        options.port,
        options.cookie.clone(),
        options.name.clone(),
        options.hostname.clone(),
        tls::incoming(options),
        Some(mode),
    );
    if let Some(address) = options.listen {
        node = node.with_listen_addr(address);
    }
    let (server, _) = Actor::spawn(None, node, ()).await.expect("cannot start the node");
    server
        .cast(NodeServerMessage::SubscribeToEvents { id: "report".into(), subscription: Box::new(SessionEvents) })
        .expect("cannot subscribe");
    let (watcher, _) = Actor::spawn(None, GroupEvents, ()).await.expect("cannot watch groups");
    pg::monitor_scope(pg::ALL_SCOPES_NOTIFICATION.to_string(), watcher.get_cell());
    server
}

/// ractor_cluster does not tell which port the system chose, so ask the system: this process listens on one socket.
fn listening_port() -> u16 {
    let sockets: Vec<String> = std::fs::read_dir("/proc/self/fd")
        .expect("cannot list descriptors")
        .filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok())
        .filter_map(|link| link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']').map(String::from))
        .collect();
    let tables = ["/proc/self/net/tcp", "/proc/self/net/tcp6"].map(|t| std::fs::read_to_string(t).unwrap_or_default());
    tables
        .iter()
        .flat_map(|table| table.lines())
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .find(|row| row.len() > 9 && row[3] == "0A" && sockets.iter().any(|inode| inode == row[9]))
        .and_then(|row| u16::from_str_radix(row[1].rsplit(':').next()?, 16).ok())
        .expect("no listening socket")
}

async fn execute(
    server: &ActorRef<NodeServerMessage>,
    options: &Options,
    id: &str,
    command: &str,
    args: &[String],
) {
    let result = match (command, args) {
        ("dial", [address]) => dial(server, options, address, None).await,
        ("dial-tls", [address, name]) => dial(server, options, address, Some(name)).await,
        ("sessions", []) => sessions(server).await,
        ("spawn", [kind, name, groups @ ..]) => spawn(kind, name, groups).await,
        ("join", [name, group, scope @ ..]) => with_actor(name, |actor| {
            pg::join_scoped(scope_of(scope), group.clone(), vec![actor]);
        }),
        ("leave", [name, group, scope @ ..]) => with_actor(name, |actor| {
            pg::leave_scoped(scope_of(scope), group.clone(), vec![actor]);
        }),
        ("stop", [name]) => with_actor(name, |actor| actor.stop(None)),
        ("kill", [name]) => with_actor(name, |actor| actor.kill()),
        ("stop-remote", [target]) => remote(target).map(|actor| {
            actor.stop(None);
            json!("done")
        }),
        ("groups", []) => Ok(groups()),
        ("members", [group, scope @ ..]) => {
            Ok(members(&pg::get_scoped_members(&scope_of(scope), group)))
        }
        ("cast", [target, variant, args @ ..]) => match remote(target) {
            Ok(actor) => probe::cast(actor, variant, args).await.map(Value::from),
            Err(error) => Err(error),
        },
        ("cast-text", [target, text]) => match (remote(target), String::parse(text)) {
            (Ok(actor), Some(text)) => cast_text(actor, text),
            (Err(error), _) => Err(error),
            _ => Err("bad argument 0".into()),
        },
        ("flood", [target, count]) => flood(target, count),
        ("call", [target, variant, timeout, args @ ..]) => {
            return call(id, target, variant, timeout, args);
        }
        _ => Err("bad command".into()),
    };
    report::result(id, result);
}

async fn dial(
    server: &ActorRef<NodeServerMessage>,
    options: &Options,
    address: &str,
    tls_name: Option<&str>,
) -> Result<Value, String> {
    let result = match tls_name {
        None => ractor_cluster::client_connect(server, address).await,
        Some(name) => {
            let name = tls::server_name(name)?;
            ractor_cluster::client_connect_enc(server, address, tls::connector(options), name).await
        }
    };
    result.map(|()| json!("connected")).map_err(|error| error.to_string())
}

async fn sessions(server: &ActorRef<NodeServerMessage>) -> Result<Value, String> {
    let found = ractor::call_t!(server, NodeServerMessage::GetSessions, 5000).map_err(|e| e.to_string())?;
    let mut list: Vec<Value> = found.values().map(session).collect();
    list.sort_by_key(|session| session["node"].as_u64());
    Ok(Value::from(list))
}

fn session(info: &NodeServerSessionInformation) -> Value {
    let peer = info.peer_name.as_ref();
    json!({
        "node": info.node_id,
        "peer": peer.map(|p| p.name.clone()),
        "connection": peer.map(|p| p.connection_string.clone()),
        "accepted": info.is_server,
    })
}

/// A name of "-" is none.  Answers the pid.
async fn spawn(kind: &str, name: &str, groups: &[String]) -> Result<Value, String> {
    let registered = (name != "-").then(|| name.to_string());
    let label = name.to_string();
    let actor = match kind {
        "probe" => Actor::spawn(registered, probe::Probe, label).await.map(|(a, _)| a.get_cell()),
        "calc" => Actor::spawn(registered, calc::Calc, label).await.map(|(a, _)| a.get_cell()),
        "text" => Actor::spawn(registered, calc::Text, label).await.map(|(a, _)| a.get_cell()),
        _ => return Err("no such kind".into()),
    }
    .map_err(|error| error.to_string())?;
    for group in groups {
        pg::join(group.clone(), vec![actor.clone()]);
    }
    Ok(json!(actor.get_id().pid()))
}

fn with_actor(name: &str, action: impl FnOnce(ActorCell)) -> Result<Value, String> {
    registry::where_is(name.to_string()).map(action).map(|()| json!("done")).ok_or("no such actor".into())
}

fn scope_of(args: &[String]) -> String {
    args.first().cloned().unwrap_or(pg::DEFAULT_SCOPE.to_string())
}

fn groups() -> Value {
    let mut list: Vec<(String, String)> = pg::which_scopes_and_groups()
        .iter()
        .map(|key| (key.get_scope(), key.get_group()))
        .filter(|(scope, group)| !pg::get_scoped_members(scope, group).is_empty())
        .collect();
    list.sort();
    json!(list)
}

fn members(actors: &[ActorCell]) -> Value {
    let mut ids: Vec<_> = actors.iter().map(|a| (a.get_id(), a.get_name())).collect();
    ids.sort();
    ids.into_iter()
        .map(|(id, name)| {
            json!({"pid": id.pid(), "name": name, "remote": !id.is_local(),
                   "node": (!id.is_local()).then(|| id.node())})
        })
        .collect()
}

/// GROUP is its first remote member, GROUP#PID the one of that pid.
fn remote(target: &str) -> Result<ActorCell, String> {
    let (group, pid) = match target.split_once('#') {
        Some((group, pid)) => (group, pid.parse().ok()),
        None => (target, None),
    };
    pg::get_members(&group.to_string())
        .into_iter()
        .filter(|actor| !actor.get_id().is_local())
        .filter(|actor| pid.is_none() || pid == Some(actor.get_id().pid()))
        .min_by_key(|actor| actor.get_id())
        .ok_or("no member".into())
}

fn cast_text(actor: ActorCell, text: String) -> Result<Value, String> {
    ActorRef::<String>::from(actor).cast(text).map(|()| json!("sent")).map_err(|_| "closed".into())
}

/// Casts as fast as they can be made; the receiver's SeqCheck tells whether all arrived in order.
fn flood(target: &str, count: &str) -> Result<Value, String> {
    let actor = ActorRef::<probe::ProbeMsg>::from(remote(target)?);
    let count: u64 = count.parse().map_err(|_| "bad argument 1")?;
    for n in 0..count {
        actor.cast(probe::ProbeMsg::Seq(n)).map_err(|_| "closed")?;
    }
    Ok(json!("sent"))
}

/// Calls run beside each other; each reports its own result.  A timeout of "-" is none.
fn call(id: &str, target: &str, variant: &str, timeout: &str, args: &[String]) {
    let (id, variant, args) = (id.to_string(), variant.to_string(), args.to_vec());
    let timeout = timeout.parse().ok().map(Duration::from_millis);
    let actor = remote(target);
    tokio::spawn(async move {
        let result = match actor {
            Ok(actor) => probe::call(actor, &variant, timeout, &args).await.map(Value::from),
            Err(error) => Err(error),
        };
        report::result(&id, result);
    });
}

struct SessionEvents;

impl SessionEvents {
    fn report(event: &str, info: &NodeServerSessionInformation) {
        let mut line = session(info);
        line["ev"] = json!(event);
        report::event(line);
    }
}

impl NodeEventSubscription for SessionEvents {
    fn node_session_opened(&self, info: NodeServerSessionInformation) {
        Self::report("opened", &info);
    }
    #[cfg(not(feature = "v0_15"))]
    fn node_session_authenticated(&self, info: NodeServerSessionInformation) {
        Self::report("authenticated", &info);
    }
    /// Its name up to 0.15.
    #[cfg(feature = "v0_15")]
    fn node_session_authenicated(&self, info: NodeServerSessionInformation) {
        Self::report("authenticated", &info);
    }
    fn node_session_ready(&self, info: NodeServerSessionInformation) {
        Self::report("ready", &info);
    }
    fn node_session_disconnected(&self, info: NodeServerSessionInformation) {
        Self::report("disconnected", &info);
    }
}

struct GroupEvents;

#[derive(RactorMessage)]
struct Nothing;

impl Actor for GroupEvents {
    type Msg = Nothing;
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<Nothing>, (): ()) -> Result<Self::State, ActorProcessingErr> {
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        _: ActorRef<Nothing>,
        event: SupervisionEvent,
        _: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        if let SupervisionEvent::ProcessGroupChanged(change) = event {
            let (event, actors) = match &change {
                GroupChangeMessage::Join(_, _, actors) => ("join", actors),
                GroupChangeMessage::Leave(_, _, actors) => ("leave", actors),
            };
            report::event(json!({
                "ev": event, "scope": change.get_scope(), "group": change.get_group(), "members": members(actors),
            }));
        }
        Ok(())
    }
}
