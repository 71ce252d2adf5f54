//! A whole ceremony through `next`, on terminals of its own: one desk for each side, with what
//! people do wrong.

mod accidents;
mod answers;
mod desk;
mod facts;
mod guided;
mod led;
mod player;
mod sample;
mod screen;

use crate::common::{
    PIN, SO_PIN,
    stage::{CUSTODIANS, Done, Setting, Stage},
};
use ::show::Language;
use custody::{
    codes::{frames, lines},
    custodian,
    share::Share,
};
use desk::Desk;
use record::{fingerprint, plan::Plan, rule::Rule, terms::Side};
use terminal::guide::{self, order};
use terminal::texts::Texts;

/// Opens a custodian's share as its holder would, to know what must not be seen.
fn share(stage: &Stage, id: &str) -> Share {
    let file = std::fs::read(stage.path(&format!("tenant/outbox/shares/{id}.age"))).unwrap();
    let identity = std::fs::read(stage.path(&format!("people/{id}.identity"))).unwrap();
    let none = |_: &str| unreachable!("it has no passphrase");
    custodian::open_share(&file, &identity, &none).unwrap().share
}

/// Types the plan's path and words, one of them wrong.
fn begin(desk: &mut Desk, stage: &Stage) {
    desk.answer("Where is the plan?", "plan/nothing.toml");
    desk.answer("Where is the plan?", "plan/ceremony.toml");
    desk.enter("Enter to begin");
    let words = stage.plan_words();
    let words: Vec<&str> = words.split(' ').collect();
    let wrong = fingerprint::words_beginning("", 0);
    let wrong = wrong.iter().find(|word| **word != words[0]).unwrap();
    desk.answer("Word 1 of 16:", wrong);
    desk.sees("is not the right word here");
    desk.answer("Word 1 of 16:", "xyzzy");
    desk.sees("cannot be the word here");
    desk.answer("Word 1 of 16:", &words[..15].join(" "));
    // The last one by the letters that tell it.
    let short = (1..=words[15].len())
        .map(|length| &words[15][..length])
        .find(|short| fingerprint::words_beginning(short, 15).len() == 1)
        .unwrap_or(words[15]);
    desk.answer("Word 16 of 16:", short);
    desk.sees("Done.");
}

fn sign_document(desk: &mut Desk, stage: &Stage, side: &str, kind: &str, ids: &[&str]) {
    desk.enter("Enter to begin");
    desk.sees("Officers must sign first");
    stage.sign_document(side, kind, ids);
    desk.send("");
    desk.sees("Done.");
    desk.sees(&format!("carry outbox/{kind}/"));
    stage.carry(side, kind);
}

fn sign_gate(desk: &mut Desk, stage: &Stage, side: &str, gate: &str, ids: &[&str]) {
    desk.sees("Officers must sign first");
    stage.approve(side, gate, ids);
    desk.send("");
}

fn confirm(desk: &mut Desk, stage: &Stage, id: &str, code_of: &str) {
    let code = fingerprint::words(&share(stage, code_of).code()).join(" ");
    desk.sees(&format!("Confirm the share of {id}"));
    desk.enter("Enter to begin");
    desk.answer("Word 1 of 10:", &code);
}

/// The tenant's desk, up to the package's release.
fn tenant_sends(desk: &mut Desk, stage: &Stage) {
    desk.enter("Enter to begin");
    desk.answer("Where is the folder offer/?", "nowhere");
    desk.sees("nowhere is no folder offer/");
    // The medium that the folder lies on will do.
    desk.answer("Where is the folder offer/?", "medium");
    desk.answer("Word 1 of 16:", &stage.kek_words());
    desk.sees("Done.");
    desk.enter("Enter to begin");
    desk.answer("PIN of the security officer (SO)", SO_PIN);
    desk.sees("Done.");
    desk.enter("Enter to begin");
    desk.answer("Does the key hgs-signing exist already?", "");
    desk.answer("Does the key hgs-encryption exist already?", "");
    desk.answer("PIN of the token", PIN);
    desk.sees("Done.");
    desk.enter("Enter to begin");
    sign_gate(desk, stage, "tenant", "export", &["ada", "cora"]);
    desk.answer("PIN of the token", PIN);
    desk.sees("Done.");
    // The words of another share are those of the word lists, and yet not these.
    confirm(desk, stage, CUSTODIANS[0], CUSTODIANS[1]);
    desk.sees("SHARE-CODE");
    desk.enter("It did not end well");
    let code = fingerprint::words(&share(stage, CUSTODIANS[0]).code()).join(" ");
    desk.answer("Word 1 of 10:", &code);
    desk.sees("Done.");
    for id in &CUSTODIANS[1..] {
        confirm(desk, stage, id, id);
        desk.sees("Done.");
    }
    sign_document(desk, stage, "tenant", "package", &["ada", "ben"]);
}

/// The hoster's import: a slip in a line, somebody else's identity, and then a quorum.
fn import(desk: &mut Desk, stage: &Stage) {
    desk.enter("Enter to begin");
    desk.answer("Where is the folder package/?", "medium/package");
    sign_gate(desk, stage, "hoster", "import", &["hugo", "hedy"]);
    desk.answer("PIN of the token", PIN);
    desk.answer("Share file of the next custodian", "");
    let record = share(stage, "cyd").record();
    let page = lines::lines(record.as_slice()).unwrap();
    for (n, line) in page.iter().enumerate() {
        let question = if n == 0 { "Line 1,".into() } else { format!("Line {} of 5", n + 1) };
        if n == 2 {
            // A dot is a character that cannot be read; three of them are too many.
            desk.answer(&question, &format!("...{}", &line[3..]));
            desk.sees("LINE-CHECK");
            desk.sees("line 3:");
            desk.answer(&question, &format!("..{}", &line[2..]));
            desk.sees("line 3: 2 characters were restored");
            continue;
        }
        desk.answer(&question, line);
        if n == 3 {
            // A slip of the finger loses nothing, and a line can be taken back.
            desk.sees("Line 5 of 5");
            desk.control('c');
            desk.answer("4 lines are right so far.", "");
            desk.sees("Line 5 of 5");
            desk.control('c');
            desk.answer("4 lines are right so far.", "note");
            desk.answer("What is to go on record?", "the sheet is hard to read");
            desk.sees("It is on record.");
            desk.answer("4 lines are right so far.", "b");
            desk.answer("Line 4 of 5", line);
        }
    }
    desk.sees("the share of cyd is right, and on record; 2 more needed");
    desk.answer("Share file of the next custodian", "tenant/outbox/shares/eve.age");
    desk.answer("Identity file that opens it", "people/gus.identity");
    desk.sees("SHARE-IDENTITY");
    // A hand scanner types what it reads, in whatever order the codes come.
    let file = std::fs::read(stage.path("tenant/outbox/shares/eve.age")).unwrap();
    let codes = frames::frames(&[("eve.age".to_owned(), file)]).unwrap();
    assert!(codes.len() > 1);
    desk.answer("Share file of the next custodian", "");
    for (n, code) in codes.iter().rev().enumerate() {
        desk.answer(if n == 0 { "or the first code" } else { "Code 1 of" }, code);
    }
    desk.answer("Identity file that opens it", "people/eve.identity");
    desk.sees("the share of eve is right, and on record; 1 more needed");
    desk.answer("Share file of the next custodian", "tenant/outbox/shares/gus.age");
    desk.answer("Identity file that opens it", "people/gus.identity");
    desk.sees("the share of gus is right");
    desk.sees("Done.");
}

fn nodes(desk: &mut Desk, stage: &Stage, at: &str) {
    for node in ["node1", "node2"] {
        desk.sees(&format!("{node}: show that it is {at}"));
        desk.enter("Enter to begin");
        let file = stage.prove_node(node, at);
        desk.answer(&format!("Where is the file {node}-{at}.json"), &file);
        desk.sees("Done.");
    }
}

#[test]
fn a_whole_ceremony_through_next_on_both_sides() {
    let mut stage = Stage::at(Done::Plan);
    let mut hoster = Desk::new(&stage, "hoster");
    begin(&mut hoster, &stage);
    let mut tenant = Desk::new(&stage, "tenant");
    begin(&mut tenant, &stage);

    // Ctrl-C at a question, and while the HSM makes the KEK: both say how to go on, and it goes on.
    hoster.sees("Step 2 of 17");
    hoster.sees("Enter to begin");
    hoster.interrupt();
    let calls = stage.path("calls");
    let making = [
        ("KEYFERRY_SHIM_CALLS", calls.to_str().unwrap()),
        ("KEYFERRY_SHIM_FAULT", "C_GenerateKeyPair once hang"),
    ];
    hoster = hoster.again_with(&stage, &making);
    hoster.sees("Step 2 of 17");
    hoster.enter("Enter to begin");
    hoster.answer("PIN of the token", PIN);
    stage.hangs(&calls);
    hoster.interrupt();
    hoster = hoster.again(&stage);
    hoster.enter("Enter to begin");
    hoster.answer("PIN of the token", PIN);
    hoster.sees("Done.");
    sign_document(&mut hoster, &stage, "hoster", "offer", &["hana", "hugo"]);

    tenant_sends(&mut tenant, &stage);

    hoster.sees("Step 4 of 17");
    hoster.enter("Enter to begin");
    hoster.answer("Where is the folder package/?", "medium/package");
    hoster.sees("Done.");
    import(&mut hoster, &stage);
    sign_document(&mut hoster, &stage, "hoster", "receipt", &["hana", "hedy"]);
    tenant.enter("Enter to begin");
    tenant.answer("Where is the folder receipt/?", "medium");
    tenant.sees("Done.");

    hoster.enter("Enter to begin");
    hoster.sees("Done.");
    nodes(&mut hoster, &stage, "ready");
    hoster.enter("Enter to begin");
    sign_gate(&mut hoster, &stage, "hoster", "primary", &["hana", "hedy"]);
    hoster.sees("Done.");
    nodes(&mut hoster, &stage, "active");
    hoster.enter("Enter to begin");
    hoster.sees("Done.");
    sign_document(&mut hoster, &stage, "hoster", "registration", &["hugo", "hedy"]);

    // Stopped on purpose, and taken up again.
    tenant.enter("Enter to begin");
    tenant.answer("Where is the folder registration/?", "q");
    tenant.sees("goes on from here");
    tenant = tenant.again(&stage);
    tenant.enter("Enter to begin");
    tenant.answer("Where is the folder registration/?", "medium");
    tenant.sees("Done.");
    sign_document(&mut tenant, &stage, "tenant", "acceptance", &["ben", "cora"]);

    hoster.enter("Enter to begin");
    hoster.answer("Where is the folder acceptance/?", "medium");
    sign_gate(&mut hoster, &stage, "hoster", "kek-destroy", &["hana", "hugo"]);
    hoster.answer("PIN of the token", PIN);
    hoster.sees("Done.");
    sign_document(&mut hoster, &stage, "hoster", "closing", &["hana", "hugo"]);
    hoster.sees("Step 17 of 17");
    hoster.enter("Enter to begin");
    hoster.sees("The ceremony is closed on this side");
    tenant.enter("Enter to begin");
    tenant.answer("Where is the folder closing/?", "medium");
    tenant.sees("The ceremony is closed on this side");

    stage.done = Some(Done::TenantClose);
    stage.verdict();
    let recordings = desk::without_colours(&[hoster.ended(), tenant.ended()].concat());
    nothing_secret(&stage, &recordings);
    // What is typed makes a question's line longer than it was.
    let broken = screen::broken(&recordings, 80).into_iter();
    let broken: Vec<&str> = broken
        .filter(|line| {
            !line.starts_with("Word ") && !line.contains("): ") && !line.contains("sheet: ")
        })
        .collect();
    assert!(broken.is_empty(), "{broken:#?}");
    runs_what_the_script_says(&stage, &recordings);
}

/// Neither PINs nor shares are on any screen, in whatever case and grouping.
fn nothing_secret(stage: &Stage, recordings: &str) {
    let all: String =
        recordings.to_uppercase().chars().filter(|c| c.is_ascii_alphanumeric()).collect();
    assert!(all.len() > 10_000);
    for secret in [PIN, SO_PIN] {
        assert!(!recordings.contains(secret), "{secret}");
    }
    for id in CUSTODIANS {
        let record = share(stage, id).record();
        let hex = data_encoding::HEXUPPER.encode(&record[20..]);
        let base32 = data_encoding::BASE32_NOPAD.encode(record.as_slice());
        // Typed in lines of 24 characters; what begins every share of a package is no secret.
        let page = lines::lines(record.as_slice()).unwrap();
        let groups = page[1..].iter().flat_map(|line| {
            line.split(' ')
                .collect::<Vec<_>>()
                .windows(2)
                .map(|two| two.concat())
                .collect::<Vec<_>>()
        });
        for group in groups.filter(|group| group.len() == 8) {
            assert!(!all.contains(&group), "{id}");
        }
        for at in 0..hex.len() - 16 {
            assert!(!all.contains(&hex[at..at + 16]), "{id}");
        }
        for at in 33..base32.len() - 10 {
            assert!(!all.contains(&base32[at..at + 10]), "{id}");
        }
    }
}

/// The commands that were run are those of the script, in their order; what people typed stands
/// where the script has a placeholder.
fn runs_what_the_script_says(stage: &Stage, recordings: &str) {
    let plan = Plan::read(&stage.path("plan/ceremony.toml")).unwrap();
    for side in [Side::Hoster, Side::Tenant] {
        let module = stage.module(&side.to_string());
        let options = format!("--dir {side} --module {} --token {side} ", module.display());
        // A command that is wider than the terminal goes on as a shell reads it.
        let whole = recordings.replace(" \\\r\n      ", " ");
        let mut lines = whole.lines().map(str::trim);
        let mut runs = std::iter::from_fn(|| {
            lines.find(|line| *line == "Runs:")?;
            lines.next()
        });
        for turn in guide::script(&plan, side) {
            let planned = turn.command(&plan).to_string();
            let program = format!("keyferry-{side} --dir CEREMONY ");
            let fixed: Vec<&str> = planned
                .strip_prefix(&program)
                .unwrap()
                .split_whitespace()
                .take_while(|word| {
                    word.starts_with(|c: char| c.is_ascii_lowercase()) && !word.contains('.')
                })
                .collect();
            let fixed = format!("keyferry-{side} {options}{}", fixed.join(" "));
            assert!(
                runs.any(|run| run.starts_with(&fixed)),
                "{side}: {planned} was not run in its place"
            );
        }
    }
}

#[test]
fn every_step_of_every_plan_has_its_texts_in_every_language() {
    let english = Texts::of(Language::English);
    let all: Vec<&str> = english.keys().collect();
    let placeholders = |text: &str| {
        let mut found: Vec<String> = text
            .split('{')
            .skip(1)
            .filter_map(|rest| rest.split_once('}').map(|(name, _)| name.to_owned()))
            .collect();
        found.sort();
        found
    };
    for language in Language::ALL {
        let texts = Texts::of(language);
        assert_eq!(texts.keys().collect::<Vec<_>>(), all, "{}", language.name());
        for key in &all {
            let (here, there) = (texts.get(key, &[]), english.get(key, &[]));
            assert_eq!(placeholders(&here), placeholders(&there), "{key}");
            assert!(!here.trim().is_empty(), "{key}");
        }
        if language != Language::English {
            let same = all.iter().filter(|key| texts.get(key, &[]) == english.get(key, &[]));
            assert!(same.count() < all.len() / 10);
        }
    }
    let used: Vec<String> = all.iter().map(|key| (*key).to_owned()).collect();
    for (setting, change) in [
        (Setting::default(), ""),
        (Setting::composite(), ""),
        (Setting::born(), ""),
        (Setting { hgs: true, ..Setting::default() }, ""),
        (Setting::composite(), "destroy"),
        (Setting::composite(), "trial"),
        (Setting { brought: vec!["00".repeat(32), "11".repeat(32)], ..Setting::composite() }, ""),
        (Setting { cloud: Some("aws-kms"), ..Setting::composite() }, ""),
    ] {
        let stage = Stage::with(setting, |plan| match change {
            "destroy" => plan.replace("source = \"keep\"", "source = \"destroy\""),
            "trial" => plan.replace("kind = \"local\"\n", "kind = \"local\"\ntrial = true\n"),
            _ => plan,
        });
        let plan = Plan::read(&stage.path("plan/ceremony.toml")).unwrap();
        for side in [Side::Hoster, Side::Tenant] {
            let script = guide::script(&plan, side);
            let last = script.last().unwrap();
            assert!(last.row.words == "close" || setting_is_cloud(&plan, side), "{side}");
            for (n, turn) in script.iter().enumerate() {
                assert_eq!(guide::number(&script, turn), Some(n + 1), "{}", turn.key(&plan));
                for part in ["title", "what", "have", "write"] {
                    let key = format!("{}.{part}", turn.key(&plan));
                    assert!(used.contains(&key), "{key}");
                }
                let who = format!("who.{}", turn.row.who);
                assert!(used.contains(&who), "{who}");
            }
        }
        nothing_is_needed_too_early(&plan);
    }
}

/// Both scripts can be gone through together, and not without any of the documents that leave.
fn nothing_is_needed_too_early(plan: &Plan) {
    order::require_order(plan).unwrap();
    let scripts = Side::ALL.map(|side| guide::script(plan, side));
    for (side, script) in scripts.iter().enumerate() {
        for (at, _) in script.iter().enumerate().filter(|(_, turn)| turn.row.words == "release") {
            let mut without = scripts.clone();
            let left_out = without[side].remove(at);
            let error = order::walk(&without).unwrap_err();
            assert_eq!(error.rule(), Some(Rule::PhaseOrder), "{}: {error}", left_out.key(plan));
        }
    }
}

/// The hoster's side has no steps for a cloud service.
fn setting_is_cloud(plan: &Plan, side: Side) -> bool {
    plan.way == record::terms::TransferRoute::Cloud && side == Side::Hoster
}

#[test]
fn colours_and_width_follow_the_terminal() {
    let stage = Stage::of(Setting::composite(), Done::Plan);
    for (variables, coloured) in [
        (vec![("TERM", "xterm")], true),
        (vec![("TERM", "xterm"), ("NO_COLOR", "1")], false),
        (vec![("TERM", "dumb")], false),
    ] {
        for columns in [40, 60, 80, 200] {
            let mut desk = Desk::sized(&stage, "hoster", &variables, columns);
            desk.answer("Where is the plan?", "plan/ceremony.toml");
            desk.sees("Enter to begin");
            desk.send("q");
            let screen = desk.ended();
            assert_eq!(screen.contains('\u{1b}'), coloured, "{variables:?}: {screen}");
            let plain = desk::without_colours(&screen);
            let shown: Vec<&str> = plain
                .lines()
                .filter(|line| {
                    line.contains("What:")
                        || line.starts_with("           ")
                        || line.contains('\u{2500}')
                })
                .collect();
            assert!(shown.len() > 3, "{screen}");
            let widest = shown.iter().map(|line| line.chars().count()).max().unwrap();
            assert!(widest <= columns.min(80) as usize, "{columns}: {plain}");
        }
    }
}

#[test]
fn an_aborted_side_is_closed_by_next_too() {
    let stage = Stage::of(Setting::composite(), Done::Init);
    for side in ["tenant", "hoster"] {
        let abort = ["abort", "--reason", "a test"];
        stage.pass(side, "abort", &abort);
        stage.side(side, &abort).ok();
        let mut desk = Desk::new(&stage, side);
        desk.sees("A step outside the script");
        desk.enter("Enter to begin");
        if side == "tenant" {
            desk.enter("Enter where there is none");
        }
        desk.sees("The ceremony is closed on this side");
        desk.ended();
    }
}
