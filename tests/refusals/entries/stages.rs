//! Ceremonies that between them have every event, with what it may say.

use std::{fs, io::Write, process::Command};

use crate::{
    common::{
        PIN,
        elsewhere::{self, Elsewhere},
        run, simulated,
        stage::{CUSTODIANS, Done, NODES, Setting, Stage},
    },
    plant::plant,
    strings,
};

/// A ceremony of its own, and whether every run changes what it has anew.
pub struct Ceremony {
    pub name: &'static str,
    pub walk: fn() -> Stage,
    pub by_default: bool,
}

/// Each with something that those before it don't have; the rest is what people may do besides.
pub const ALL: [Ceremony; 10] = [
    Ceremony { name: "eventful", walk: eventful, by_default: true },
    Ceremony { name: "superseded", walk: superseded, by_default: true },
    Ceremony { name: "brought", walk: brought, by_default: true },
    Ceremony { name: "cloud", walk: cloud, by_default: true },
    Ceremony { name: "born, aborted", walk: born_aborted, by_default: true },
    Ceremony { name: "metadata", walk: metadata, by_default: false },
    Ceremony { name: "born again", walk: born_again, by_default: false },
    Ceremony { name: "brought, aborted", walk: brought_aborted, by_default: false },
    Ceremony { name: "trial", walk: trial, by_default: false },
    Ceremony { name: "renewal", walk: renewal, by_default: false },
];

/// Carried: everything that people may do on the way, and that may go wrong.
fn eventful() -> Stage {
    let deputy = custody::custodian::new_identity(None).unwrap();
    let mut stage = Stage::new(|plan| {
        let cyd = plan.find("id = \"cyd\"").unwrap();
        let end = cyd + plan[cyd..].find("\"]").unwrap() + 1;
        let plan = format!("{}, \"{}\"{}", &plan[..end], deputy.recipient, &plan[end..]);
        plan.replace("[target]\n", "[after]\nsource = \"destroy\"\n\n[target]\n")
    });
    fs::write(stage.path("people/deputy.identity"), &*deputy.file).unwrap();
    stage.walk_to(Done::Init);
    noted(&stage);
    troubled(&stage);
    stage.walk_to(Done::PackageCheck);
    for side in ["hoster", "tenant"] {
        stage.restart(side);
    }
    stage.done = Some(Done::Init);
    stage.walk_to(Done::KekTrust);
    stage.done = Some(Done::KeysCreate);
    stage.walk_to(Done::Export);
    dealt(&mut stage);
    opened(&mut stage);
    activated(&mut stage);
    stage.walk_to(Done::AcceptanceRelease);
    originals_destroyed(&stage);
    // After the end: the service lives on.
    let replaced = ["nodes", "--replace", "node1"];
    stage.pass("hoster", "nodes", &replaced);
    stage.hoster(&replaced).ok();
    proved(&stage, "active");
    stage.hoster(&["close"]).ok();
    stage
}

/// What people put into the record.
fn noted(stage: &Stage) {
    let bag = ["the laptop", "--number", "A 1", "--condition", "intact"];
    let notes: &[&[&str]] = &[
        &["remark", "the ceremony begins"],
        &["incident", "a phone rang"],
        &["break", "--stayed", "ada", "--stayed", "iris", "--text", "lunch"],
        &[&["bag-out"], &bag[..]].concat(),
        &[&["bag-in"], &bag[..]].concat(),
        &["medium", "4C530001", "--text", "blue stick"],
        &["arrival", "Cyd", "--text", "with a share"],
        &["departure", "Cyd", "--text", "with a share"],
        &["video", "tape 1, 00:12:00", "--text", "the room"],
    ];
    for note in notes {
        stage.tenant(&[&["note"], *note].concat()).ok();
    }
    stage.tenant(&["print", "script"]).ok();
}

/// A machine that was looked at, a bag that came back damaged, a step out of order, a torn line, and
/// a wrong PIN.
fn troubled(stage: &Stage) {
    stage.hoster(&["preflight"]).ok();
    let bag = ["the laptop", "--number", "A 1", "--condition"];
    stage.hoster(&[&["note", "bag-out"], &bag[..], &["intact"]].concat()).ok();
    let text = ["damaged", "--text", "torn"];
    stage.hoster(&[&["note", "bag-in"], &bag[..], &text].concat()).ok();
    stage.hoster(&["kek", "create"]).refused("BAG-NUMBER");
    stage.pass("hoster", "deviation", &["deviation"]);
    stage.hoster(&["deviation"]).ok();
    let log = stage.path("hoster/log.jsonl");
    fs::File::options().append(true).open(log).unwrap().write_all(b"{\"event\":").unwrap();
    let pin = |pin: &str| fs::write(stage.path("pin"), pin).unwrap();
    assert_eq!(plant(stage, "hoster", "pin-flag"), "normal");
    pin("4321");
    stage.hoster(&["kek", "create"]).ended_with(6);
    pin(PIN);
    stage.hoster(&["kek", "create"]).refused("PIN-COUNT-LOW");
    stage.approve("hoster", "pin-try", &["hana", "hugo"]);
}

/// A deputy confirms, one share file is written again, one custodian never comes, and officers sign
/// for that.
fn dealt(stage: &mut Stage) {
    for (id, identity) in [("cyd", "deputy"), ("dan", "dan"), ("eve", "eve"), ("fay", "fay")] {
        let file = format!("tenant/outbox/shares/{id}.age");
        let identity = format!("people/{identity}.identity");
        let words = stage.custodian(&["share", "check", &file, "--identity", &identity]).ok();
        let words = stage.words(id, &words);
        let mut confirm = vec!["share", "confirm", id, "--words", &words];
        confirm.extend((id == "cyd").then_some("--deputy"));
        stage.tenant(&confirm).ok();
    }
    stage.tenant(&["share", "reissue", "gus", "--to", "again.age"]).ok();
    stage.sign_document("tenant", "package", &["ada", "ben"]);
    stage.pass("tenant", "deviation", &["release"]);
    stage.tenant(&["release"]).ok();
    stage.carry("tenant", "package");
    stage.done = Some(Done::PackageRelease);
}

/// A deputy comes in a custodian's place, with a share file whose line ends were changed.
fn opened(stage: &mut Stage) {
    stage.walk_to(Done::PackageCheck);
    let share = fs::read_to_string(stage.path("tenant/outbox/shares/cyd.age")).unwrap();
    fs::write(stage.path("changed.age"), share.replace('\n', "\r\n")).unwrap();
    let deputy = ["--share", "changed.age", "--identity", "people/deputy.identity"];
    let shares = stage.shares(&[CUSTODIANS[1], CUSTODIANS[2]]);
    let import = [&["import", "medium/package"], &deputy[..], &strings(&shares)].concat();
    stage.pass("hoster", "import", &import);
    stage.hoster(&import).ok();
    stage.done = Some(Done::Import);
}

/// The first node proves itself.
fn proved(stage: &Stage, what: &str) {
    let file = stage.prove_node(NODES[0], what);
    stage.hoster(&["evidence", "add", &file]).ok();
}

/// A node leaves, the keys become primary, go back, and become primary again; a former key is
/// retired.
fn activated(stage: &mut Stage) {
    stage.walk_to(Done::Register);
    let leaves = ["nodes", "--remove", NODES[1]];
    stage.pass("hoster", "nodes", &leaves);
    stage.hoster(&leaves).ok();
    for gate in ["rollback", ""] {
        proved(stage, "ready");
        stage.pass("hoster", "primary", &["primary"]);
        stage.hoster(&["primary"]).ok();
        proved(stage, "active");
        if gate == "rollback" {
            stage.pass("hoster", gate, &[gate]);
            stage.hoster(&[gate]).ok();
        }
    }
    stage.done = Some(Done::Active);
    run(Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout"])
        .arg(stage.path("former.key"))
        .args(["-subj", "/CN=former", "-sha256", "-outform", "DER", "-out"])
        .arg(stage.path("former.crt")));
    stage.hoster(&["retire", "former.crt"]).ok();
}

/// The KEK goes with the hoster's word about backups, and then the tenant's originals.
fn originals_destroyed(stage: &Stage) {
    let destroy = ["kek", "destroy", "medium/acceptance", "--backup", "two smart cards in a safe"];
    stage.pass("hoster", "kek-destroy", &destroy);
    stage.hoster(&destroy).ok();
    stage.close_hoster();
    let destroy = ["source", "destroy", "medium/closing"];
    stage.pass("tenant", "source-destroy", &destroy);
    stage.tenant(&destroy).ok();
    stage.tenant(&["close"]).ok();
}

/// Aborted after the import; and the beginning of another that supersedes it, `next-tenant`.
fn superseded() -> Stage {
    let stage = Stage::at(Done::Import);
    stage.abort_both("kek-destroy", &["kek", "destroy"]);
    let plan = fs::read_to_string(stage.path("plan/ceremony.toml")).unwrap();
    let former = record::encoding::Hash::of(plan.as_bytes());
    let next = stage.path("next");
    fs::create_dir(&next).unwrap();
    let next = next.join("ceremony.toml");
    fs::write(&next, plan.replacen('\n', &format!("\nsupersedes = \"{former}\"\n"), 1)).unwrap();
    for id in ["ada", "ben", "hana", "hugo"] {
        stage.sign(&next, "keyferry-plan", id);
    }
    let hash = record::encoding::Hash::of(&fs::read(&next).unwrap());
    let words = record::fingerprint::words(&hash.0);
    let words = stage.words("next", &words[..16].join(" "));
    let next = next.to_str().unwrap();
    fs::rename(stage.path("tenant"), stage.path("aborted")).unwrap();
    stage.tenant(&["init", next, "--words", &words, "--superseded", "aborted/archive"]).ok();
    fs::rename(stage.path("tenant"), stage.path("next-tenant")).unwrap();
    fs::rename(stage.path("aborted"), stage.path("tenant")).unwrap();
    stage
}

fn brought() -> Stage {
    let elsewhere = Elsewhere::new();
    let mut stage = imported(&elsewhere);
    elsewhere::to_the_end(&mut stage, &mut |_| {});
    stage
}

fn imported(elsewhere: &Elsewhere) -> Stage {
    let stage = elsewhere::wrapped(crate::common::stage::Family::SoftHsm, elsewhere);
    let import = elsewhere.import();
    stage.pass("hoster", "import", &strings(&import));
    stage.hoster(&strings(&import)).ok();
    stage
}

fn brought_aborted() -> Stage {
    let stage = imported(&Elsewhere::new());
    stage.abort_both("kek-destroy", &["kek", "destroy"]);
    stage
}

fn cloud() -> Stage {
    let setting = Setting {
        waivers: ["WRAP-COMPOSITE", "WRAP-OAEP-SHA1", "WRAP-ZERO-FILLED"].map(str::to_owned).into(),
        cloud: Some("azure-byok"),
        ..Setting::composite()
    };
    let stage = Stage::with(setting, |plan| plan);
    let words = stage.words("plan", &stage.plan_words());
    stage.tenant(&["init", "plan/ceremony.toml", "--words", &words]).ok();
    stage.tenant(&["keys", "create"]).ok();
    let private = stage.path("kek.pem");
    let kid = "https://contoso.vault.azure.net/keys/KEK/0123456789abcdef0123456789abcdef";
    let export = ["export", "--format", "azure-byok", "--kek", "wrapping-key", "--kid", kid];
    // The second time, for another KEK: the first has expired.
    for _ in 0..2 {
        run(Command::new("openssl").args(["genrsa", "-out"]).arg(&private).arg("3072"));
        let public = run(Command::new("openssl").args(["pkey", "-pubout", "-in"]).arg(&private));
        fs::write(stage.path("wrapping-key"), public).unwrap();
        stage.pass("tenant", "export", &export);
        stage.tenant(&export).ok();
    }
    stage.tenant(&["close"]).ok();
    stage
}

fn born_aborted() -> Stage {
    let stage = Stage::of(Setting::born(), Done::ReceiptCheck);
    stage.abort_both("keys-destroy", &["keys", "destroy"]);
    stage
}

fn born_again() -> Stage {
    let mut stage = Stage::of(Setting::born(), Done::Import);
    for side in ["hoster", "tenant"] {
        stage.restart(side);
    }
    stage.done = Some(Done::Init);
    stage.walk_to(Done::TenantClose);
    stage
}

/// At a Host Guardian Service, whose nodes publish what is primary, and one of which does not pass its
/// own diagnostics.
fn metadata() -> Stage {
    let setting = Setting { hgs: true, ..Setting::default() };
    let mut stage = Stage::with(setting, |plan| plan);
    simulated::begin(&mut stage);
    simulated::simulated(&stage, &["diagnose", "node1", "Https / Binding", "Fail"]);
    simulated::each_node(&stage, "ready");
    stage.done = Some(Done::Ready);
    simulated::registered(&mut stage);
    fs::write(stage.path("node1.xml"), simulated::simulated(&stage, &["metadata"])).unwrap();
    let fetched = ["--fetched-from", "the tenant's own network", "--fetched-by", "hana"];
    let accept = ["accept", "medium/registration", "--metadata", "node1=node1.xml"];
    stage.tenant(&[&accept[..], &fetched].concat()).ok();
    stage.done = Some(Done::Accept);
    stage.walk_to(Done::TenantClose);
    stage
}

fn trial() -> Stage {
    let mut stage =
        Stage::new(|plan| plan.replace("kind = \"local\"\n", "kind = \"local\"\ntrial = true\n"));
    stage.walk_to(Done::Ready);
    stage.abort_both("kek-destroy", &["kek", "destroy"]);
    stage
}

/// The second year, on the same tokens.
fn renewal() -> Stage {
    let mut stage = Stage::at(Done::Plan);
    stage.registry = true;
    stage.walk_to(Done::TenantClose);
    stage.next_ceremony(|stage, plan| {
        let plan = plan.to_str().unwrap();
        stage.auditor(&["plan", "new", plan, "--from", "before/plan/ceremony.toml"]).ok();
    });
    stage.walk_to(Done::TenantClose);
    stage
}
