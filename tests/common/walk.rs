//! How a ceremony goes, step by step, on a stage.
#![allow(dead_code)] // Each test program uses its part.

use super::stage::{CUSTODIANS, Ended, NODES, Stage};

/// How far a stage is walked. Each is the state *after* that step, both sides having done what lies before. Where the keys are born at the
/// hoster, `keys` stands in the offer's place, the challenge in the package's, the answer in the import's; what has no counterpart is nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Done {
    Plan,
    Init,
    KekCreate,
    OfferRelease,
    OfferCheck,
    KekTrust,
    KeysCreate,
    Export,
    Confirm,
    PackageRelease,
    PackageCheck,
    Import,
    ReceiptRelease,
    ReceiptCheck,
    Register,
    Ready,
    Primary,
    Active,
    Registration,
    RegistrationRelease,
    Accept,
    AcceptanceRelease,
    KekDestroy,
    ClosingRelease,
    HosterClose,
    TenantClose,
}

impl Done {
    /// Every step, in their order.
    pub const ALL: [Done; 25] = [
        Done::Init,
        Done::KekCreate,
        Done::OfferRelease,
        Done::OfferCheck,
        Done::KekTrust,
        Done::KeysCreate,
        Done::Export,
        Done::Confirm,
        Done::PackageRelease,
        Done::PackageCheck,
        Done::Import,
        Done::ReceiptRelease,
        Done::ReceiptCheck,
        Done::Register,
        Done::Ready,
        Done::Primary,
        Done::Active,
        Done::Registration,
        Done::RegistrationRelease,
        Done::Accept,
        Done::AcceptanceRelease,
        Done::KekDestroy,
        Done::ClosingRelease,
        Done::HosterClose,
        Done::TenantClose,
    ];
}

impl Stage {
    /// The next steps, up to this one. `run` runs each command; the crash tests kill it and run it again.
    pub fn walk_to(&mut self, done: Done) {
        self.walk(done, &mut |stage, side, arguments| {
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            stage.side(side, &arguments).ok();
        });
    }

    /// As [`Stage::walk_to`], with the caller's own way to run a command.
    pub fn walk(&mut self, done: Done, run: &mut dyn FnMut(&Stage, &str, &[String])) {
        for step in Done::ALL {
            if self.done.is_none_or(|so_far| so_far < step) && step <= done {
                self.one(step, run);
                self.done = Some(step);
            }
        }
    }

    /// As [`Stage::walk_to`], up to the first command that does not end well: which it was, and how it ended.
    pub fn walk_until_refused(&mut self, done: Done) -> Option<(String, Ended)> {
        let mut first = None;
        for step in Done::ALL {
            if self.done.is_some_and(|so_far| so_far >= step) || step > done {
                continue;
            }
            self.one(step, &mut |stage, side, arguments| {
                let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
                let ended = stage.side(side, &arguments);
                if ended.code != 0 && first.is_none() {
                    first = Some((format!("{side} {}", arguments.join(" ")), ended));
                }
            });
            if first.is_some() {
                return first;
            }
            self.done = Some(step);
        }
        None
    }

    fn prove_nodes(&self, stage: &str, go: &mut dyn FnMut(&str, &[&str])) {
        for node in NODES {
            let file = self.prove_node(node, stage);
            go("hoster", &["evidence", "add", &file]);
        }
    }

    fn one(&self, step: Done, run: &mut dyn FnMut(&Stage, &str, &[String])) {
        let mut go = |side: &str, arguments: &[&str]| {
            let arguments: Vec<String> = arguments
                .iter()
                .map(|argument| (*argument).to_owned())
                .collect();
            run(self, side, &arguments);
        };
        // A gate: asked for, signed by two officers, then done.
        let ask = |side: &str, arguments: &[&str], gate: &str, ids: [&str; 2]| {
            let ended = self.side(side, arguments);
            if ended.code == 6 {
                self.approve(side, gate, &ids);
            }
            // Where a test has had it signed already, it is done.
            ended.code != 0
        };
        let mut release = |side: &str, kind: &str, ids: [&str; 2]| {
            self.sign_document(side, kind, &ids);
            go(side, &["release"]);
            self.carry(side, kind);
        };
        let born = self.setting.born;
        match step {
            Done::Plan => {}
            Done::KekCreate if born => go("hoster", &["keys", "create"]),
            Done::OfferRelease if born => release("hoster", "keys", ["hana", "hugo"]),
            Done::OfferCheck if born => {
                let words = self.words("keys", &self.kek_words());
                go(
                    "tenant",
                    &["keys", "check", "medium/keys", "--words", &words],
                );
            }
            Done::KeysCreate | Done::Export | Done::Confirm | Done::PackageCheck if born => {}
            Done::PackageRelease if born => release("tenant", "challenge", ["ada", "ben"]),
            Done::Import if born => go("hoster", &["answer", "medium/challenge"]),
            Done::KekDestroy if born => go("hoster", &["acceptance", "check", "medium/acceptance"]),
            Done::Init => {
                let words = self.words("plan", &self.plan_words());
                go("tenant", &["init", "plan/ceremony.toml", "--words", &words]);
                go("hoster", &["init", "plan/ceremony.toml", "--words", &words]);
            }
            Done::KekCreate => go("hoster", &["kek", "create"]),
            Done::OfferRelease => release("hoster", "offer", ["hana", "hugo"]),
            Done::OfferCheck => {
                let words = self.words("kek", &self.kek_words());
                go(
                    "tenant",
                    &["offer", "check", "medium/offer", "--words", &words],
                );
            }
            Done::KekTrust if !self.setting.trusts() => {}
            Done::KekTrust => go("tenant", &["kek", "trust", "--so-pin-file", "so-pin"]),
            Done::KeysCreate => go("tenant", &["keys", "create"]),
            Done::Export => {
                if ask("tenant", &["export"], "export", ["ada", "cora"]) {
                    go("tenant", &["export"]);
                }
            }
            Done::Confirm => {
                for id in CUSTODIANS {
                    let file = format!("tenant/outbox/shares/{id}.age");
                    let code = self
                        .custodian(&[
                            "share",
                            "check",
                            &file,
                            "--identity",
                            &format!("people/{id}.identity"),
                        ])
                        .ok();
                    let words = self.words(id, &code);
                    go("tenant", &["share", "confirm", id, "--words", &words]);
                }
            }
            Done::PackageRelease => release("tenant", "package", ["ada", "ben"]),
            Done::PackageCheck => go("hoster", &["package", "check", "medium/package"]),
            Done::Import => {
                let shares = self.shares(&["cyd", "eve", "gus"]);
                let mut arguments = vec!["import", "medium/package"];
                ask("hoster", &arguments, "import", ["hugo", "hedy"]);
                arguments.extend(shares.iter().map(String::as_str));
                go("hoster", &arguments);
            }
            Done::ReceiptRelease => release("hoster", "receipt", ["hana", "hedy"]),
            Done::ReceiptCheck => go("tenant", &["receipt", "check", "medium/receipt"]),
            Done::Register => go("hoster", &["register"]),
            Done::Primary => {
                if ask("hoster", &["primary"], "primary", ["hana", "hedy"]) {
                    go("hoster", &["primary"]);
                }
            }
            Done::Ready => self.prove_nodes("ready", &mut go),
            Done::Active => self.prove_nodes("active", &mut go),
            Done::Registration => go("hoster", &["primary"]),
            Done::RegistrationRelease => release("hoster", "registration", ["hugo", "hedy"]),
            Done::Accept => go("tenant", &["accept", "medium/registration"]),
            Done::AcceptanceRelease => release("tenant", "acceptance", ["ben", "cora"]),
            Done::KekDestroy => {
                let arguments = ["kek", "destroy", "medium/acceptance"];
                if ask("hoster", &arguments, "kek-destroy", ["hana", "hugo"]) {
                    go("hoster", &arguments);
                }
            }
            Done::ClosingRelease => release("hoster", "closing", ["hana", "hugo"]),
            Done::HosterClose => go("hoster", &["close"]),
            Done::TenantClose => go("tenant", &["close", "medium/closing"]),
        }
    }
}
