/* SPDX-License-Identifier: Apache-2.0 */
//! The command line: --option value, or a bare --option.

use std::net::IpAddr;

pub struct Options {
    pub name: String,
    pub hostname: String,
    pub port: u16,
    pub cookie: String,
    pub listen: Option<IpAddr>,
    pub transitive: bool,
    pub dial: Vec<String>,
    /// Certificate and key of this node; with them the listener takes TLS only.
    pub tls_cert: Option<String>,
    pub tls_key: Option<String>,
    /// Who signs the peers' certificates.
    pub tls_ca: Option<String>,
    /// The listener asks for a certificate; the dialler shows its own.
    pub tls_mutual: bool,
}

impl Options {
    pub fn from_args() -> Options {
        let mut options = Options {
            name: "peer".into(),
            hostname: "localhost".into(),
            port: 0,
            cookie: "cookie".into(),
            listen: None,
            transitive: false,
            dial: Vec::new(),
            tls_cert: None,
            tls_key: None,
            tls_ca: None,
            tls_mutual: false,
        };
        let mut args = std::env::args().skip(1);
        while let Some(option) = args.next() {
            let mut value = || args.next().unwrap_or_else(|| panic!("{option} needs a value"));
            match option.as_str() {
                "--name" => options.name = value(),
                "--hostname" => options.hostname = value(),
                "--port" => options.port = value().parse().expect("bad port"),
                "--cookie" => options.cookie = value(),
                "--listen" => options.listen = Some(value().parse().expect("bad address")),
                "--mode" => options.transitive = value() == "transitive",
                "--dial" => options.dial.push(value()),
                "--tls-cert" => options.tls_cert = Some(value()),
                "--tls-key" => options.tls_key = Some(value()),
                "--tls-ca" => options.tls_ca = Some(value()),
                "--tls-mutual" => options.tls_mutual = true,
                _ => panic!("unknown option {option}"),
            }
        }
        options
    }
}
