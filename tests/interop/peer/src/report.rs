/* SPDX-License-Identifier: Apache-2.0 */
//! Standard output: one JSON object a line.

use serde_json::{json, Value};

pub fn event(value: Value) {
    println!("{value}");
}

pub fn message(kind: &str, actor: &str, variant: &str, args: &[String]) {
    event(json!({"ev": kind, "actor": actor, "variant": variant, "args": args}));
}

pub fn result(id: &str, result: Result<Value, String>) {
    match result {
        Ok(value) => event(json!({"id": id, "ok": true, "value": value})),
        Err(error) => event(json!({"id": id, "ok": false, "error": error})),
    }
}
