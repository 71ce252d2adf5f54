//! How a ceremony goes, step by step, on a stage.
#![allow(dead_code)] // Each test program uses its part.

use super::stage::{CUSTODIANS, Ended, NODES, Stage};

/// The exit code of a command that asks officers for their signatures.
pub const ASKS: i32 = 6;

/// How far a stage is walked. Each is the state *after* that step, both sides having done what lies
/// before. Where the keys are born at the hoster, `keys` stands in the offer's place, the challenge
/// in the package's, the answer in the import's; what has no counterpart is nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
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
    /// The next steps, up to this one. `run` runs each command; the crash tests kill it and run it
    /// again.
    pub fn walk_to(&mut self, done: Done) {
        self.walk(done, &mut |stage, side, arguments| {
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            let ended = stage.side(side, &arguments);
            assert!([0, ASKS].contains(&ended.code), "{side} {arguments:?}: {ended:?}");
            ended.code
        });
    }

    /// As [`Stage::walk_to`], with the caller's own way to run a command, which says what it ended
    /// with: 0, or 6 where it asks officers.
    pub fn walk(&mut self, done: Done, run: &mut dyn FnMut(&Stage, &str, &[String]) -> i32) {
        for step in Done::ALL {
            if self.done.is_none_or(|so_far| so_far < step) && step <= done {
                self.one(step, run);
                self.done = Some(step);
            }
        }
    }

    /// As [`Stage::walk_to`], up to the first command that does not end well: which it was, and how
    /// it ended.
    pub fn walk_until_refused(&mut self, done: Done) -> Option<(String, Ended)> {
        let mut first = None;
        for step in Done::ALL {
            if self.done.is_some_and(|so_far| so_far >= step) || step > done {
                continue;
            }
            self.one(step, &mut |stage, side, arguments| {
                let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
                let ended = stage.side(side, &arguments);
                let code = ended.code;
                if ![0, ASKS].contains(&code) && first.is_none() {
                    first = Some((format!("{side} {}", arguments.join(" ")), ended));
                }
                code
            });
            if first.is_some() {
                return first;
            }
            self.done = Some(step);
        }
        None
    }

    fn one(&self, step: Done, run: &mut dyn FnMut(&Stage, &str, &[String]) -> i32) {
        let mut hand = Hand { stage: self, run };
        let born = self.setting.born;
        match step {
            Done::Plan => {}
            Done::KekCreate if born => hand.go("hoster", &["keys", "create"]),
            Done::OfferRelease if born => hand.release("hoster", "keys", ["hana", "hugo"]),
            Done::OfferCheck if born => {
                let words = self.words("keys", &self.kek_words());
                hand.go("tenant", &["keys", "check", "medium/keys", "--words", &words]);
            }
            Done::KeysCreate | Done::Export | Done::Confirm | Done::PackageCheck if born => {}
            Done::PackageRelease if born => hand.release("tenant", "challenge", ["ada", "ben"]),
            Done::Import if born => hand.go("hoster", &["answer", "medium/challenge"]),
            Done::KekDestroy if born => {
                hand.go("hoster", &["acceptance", "check", "medium/acceptance"])
            }
            Done::Init => {
                let words = self.words("plan", &self.plan_words());
                hand.go("tenant", &["init", "plan/ceremony.toml", "--words", &words]);
                hand.go("hoster", &["init", "plan/ceremony.toml", "--words", &words]);
            }
            Done::KekCreate => hand.go("hoster", &["kek", "create"]),
            Done::OfferRelease => hand.release("hoster", "offer", ["hana", "hugo"]),
            Done::OfferCheck => {
                let words = self.words("kek", &self.kek_words());
                hand.go("tenant", &["offer", "check", "medium/offer", "--words", &words]);
            }
            Done::KekTrust if !self.setting.trusts() => {}
            Done::KekTrust => hand.go("tenant", &["kek", "trust", "--so-pin-file", "so-pin"]),
            Done::KeysCreate => hand.go("tenant", &["keys", "create"]),
            Done::Export => hand.gated("tenant", &["export"], "export", ["ada", "cora"]),
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
                    hand.go("tenant", &["share", "confirm", id, "--words", &words]);
                }
            }
            Done::PackageRelease => hand.release("tenant", "package", ["ada", "ben"]),
            Done::PackageCheck => hand.go("hoster", &["package", "check", "medium/package"]),
            Done::Import => {
                let shares = self.shares(&["cyd", "eve", "gus"]);
                let mut arguments = vec!["import", "medium/package"];
                // Where it was asked for before, by a test or in an attempt that ended, it may be
                // signed already: then shares are asked for.
                let asks = match self.is_asked("hoster", "import") {
                    false => hand.run("hoster", &arguments),
                    true => self.hoster(&arguments).code,
                };
                if asks == ASKS {
                    self.approve("hoster", "import", &["hugo", "hedy"]);
                }
                arguments.extend(shares.iter().map(String::as_str));
                hand.go("hoster", &arguments);
            }
            Done::ReceiptRelease => hand.release("hoster", "receipt", ["hana", "hedy"]),
            Done::ReceiptCheck => hand.go("tenant", &["receipt", "check", "medium/receipt"]),
            Done::Register => hand.go("hoster", &["register"]),
            Done::Primary => hand.gated("hoster", &["primary"], "primary", ["hana", "hedy"]),
            Done::Ready => hand.prove_nodes("ready"),
            Done::Active => hand.prove_nodes("active"),
            Done::Registration => hand.go("hoster", &["primary"]),
            Done::RegistrationRelease => hand.release("hoster", "registration", ["hugo", "hedy"]),
            Done::Accept => hand.go("tenant", &["accept", "medium/registration"]),
            Done::AcceptanceRelease => hand.release("tenant", "acceptance", ["ben", "cora"]),
            Done::KekDestroy => {
                let arguments = ["kek", "destroy", "medium/acceptance"];
                hand.gated("hoster", &arguments, "kek-destroy", ["hana", "hugo"]);
            }
            Done::ClosingRelease => hand.release("hoster", "closing", ["hana", "hugo"]),
            Done::HosterClose => hand.go("hoster", &["close"]),
            Done::TenantClose => hand.go("tenant", &["close", "medium/closing"]),
        }
    }
}

/// Who runs the commands of a step.
struct Hand<'a> {
    stage: &'a Stage,
    run: &'a mut dyn FnMut(&Stage, &str, &[String]) -> i32,
}

impl Hand<'_> {
    fn run(&mut self, side: &str, arguments: &[&str]) -> i32 {
        let arguments: Vec<String> = arguments.iter().map(|one| (*one).to_owned()).collect();
        (self.run)(self.stage, side, &arguments)
    }

    fn go(&mut self, side: &str, arguments: &[&str]) {
        self.run(side, arguments);
    }

    /// A gate: asked for, signed by two officers, then done; at once where a test has had it signed
    /// already.
    fn gated(&mut self, side: &str, arguments: &[&str], gate: &str, ids: [&str; 2]) {
        if self.run(side, arguments) == ASKS {
            self.stage.approve(side, gate, &ids);
            self.run(side, arguments);
        }
    }

    fn release(&mut self, side: &str, kind: &str, ids: [&str; 2]) {
        self.stage.sign_document(side, kind, &ids);
        self.go(side, &["release"]);
        self.stage.carry(side, kind);
    }

    fn prove_nodes(&mut self, stage: &str) {
        for node in NODES {
            let file = self.stage.prove_node(node, stage);
            self.go("hoster", &["evidence", "add", &file]);
        }
    }
}
