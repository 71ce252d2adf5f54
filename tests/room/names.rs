//! People are named: wherever a program has the plan at hand, an id stands beside its name, or in
//! what is to be typed.

use std::{collections::BTreeSet, fs, process::Command};

use crate::common::{
    programs,
    stage::{CUSTODIANS, Done, HOSTER, Setting, Stage, TENANT, ended},
};

fn everybody() -> impl Iterator<Item = &'static str> {
    TENANT.into_iter().chain(HOSTER).chain(CUSTODIANS).chain(["iris"])
}

/// What the plan calls somebody.
fn name(id: &str) -> String {
    format!("{}{} Maier", id[..1].to_uppercase(), &id[1..])
}

/// The plan with names that are not ids.
fn with_names(plan: String) -> String {
    let field = |name: &str| format!("name = \"{name}\"");
    let plan = plan.replace(&field("Iris"), &field("iris"));
    everybody().fold(plan, |plan, id| plan.replace(&field(id), &field(&name(id))))
}

/// Whoever a text tells of, by name and id. Nowhere is there an id alone, but in commands.
#[track_caller]
fn told(text: &str) -> BTreeSet<&'static str> {
    let mut told = BTreeSet::new();
    let commands = ["keyferry-", "ssh-keygen "];
    let is_command = |line: &str| commands.iter().any(|one| line.trim_start().starts_with(one));
    for line in text.lines().filter(|line| !is_command(line)) {
        let mut bare: String = line.split('`').step_by(2).collect();
        for id in everybody() {
            let named = format!("{} ({id})", name(id));
            if bare.contains(&named) {
                told.insert(id);
                bare = bare.replace(&named, "");
            }
        }
        for word in bare.split_whitespace() {
            let word = word.trim_matches(|c: char| !c.is_alphanumeric());
            assert!(everybody().all(|id| id != word), "{word} in: {line}\n{text}");
        }
    }
    told
}

/// What a command says in both languages tells of these people, and of nobody else.
#[track_caller]
fn tells(code: i32, expected: &[&str], mut command: impl FnMut() -> Command) {
    for language in ["en", "de"] {
        let mut command = command();
        command.env("KEYFERRY_LANGUAGE", language).env_remove("SSH_AUTH_SOCK");
        let said = ended(&mut command);
        assert_eq!(said.code, code, "{said:?}");
        let text = said.out + &said.err;
        assert_eq!(told(&text), expected.iter().copied().collect(), "{text}");
    }
}

/// A program of somebody who has a copy of the stage.
fn program(stage: &Stage, program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(stage.dir.path());
    command.stdin(std::process::Stdio::null());
    command
}

#[test]
fn people_are_called_by_their_names() {
    let mut stage = Stage::with(Setting::composite(), with_names);
    before_the_plan_is_agreed(&stage);
    stage.walk_to(Done::Export);
    shares_are_dealt(&stage);
    stage.walk_to(Done::PackageCheck);
    stage.hoster(&["import", "medium/package"]).ended_with(6);
    stage.approve("hoster", "import", &["hugo", "hedy"]);
    // One of three custodians.
    let share = stage.shares(&["cyd"]);
    let import = [&["import", "medium/package"][..], &[&share[0], &share[1], &share[2], &share[3]]];
    tells(3, &CUSTODIANS, || stage.command("hoster", &import.concat()));
    stage.walk_to(Done::ReceiptRelease);
    what_was_signed(&stage);
    on_the_desk(&stage);
    transcript(&stage);
}

fn before_the_plan_is_agreed(stage: &Stage) {
    let alone = stage.path("alone");
    fs::create_dir(&alone).unwrap();
    for file in ["ceremony.toml", "ceremony.toml.ben.sig"] {
        fs::copy(stage.path("plan").join(file), alone.join(file)).unwrap();
    }
    stage.sign(&stage.probe("hoster"), "keyferry-probe", "hedy");
    stage.sign(&stage.probe("tenant"), "keyferry-probe", "cora");
    let check = ["plan", "check", "alone/ceremony.toml"];
    let probes = ["--probe", "hoster.json", "--probe", "tenant.json"];
    // Who is what stands above, id beside name, as in the plan.
    for (language, heading) in [("en", "WHO HAS SIGNED IT"), ("de", "WER IHN UNTERSCHRIEBEN HAT")] {
        let said = stage.auditor(&[&check[..], &probes, &["--language", language]].concat()).ok();
        let (_, signed) = said.split_once(heading).unwrap();
        let people = ["ada", "ben", "cora", "hana", "hedy", "hugo"];
        assert_eq!(told(signed), people.into(), "{said}");
        let line = "keyferry-officer sign alone/ceremony.toml --as ada --key KEY";
        assert!(said.lines().any(|one| one.trim() == line), "{said}");
    }
}

fn shares_are_dealt(stage: &Stage) {
    tells(0, &CUSTODIANS, || stage.command("tenant", &["status"]));
    let confirm = |words: &str, more: &[&str]| {
        stage.command("tenant", &[&["share", "confirm", "dan", "--words", words], more].concat())
    };
    let other = stage.words("other", &"adroitness ".repeat(10));
    tells(3, &["dan"], || confirm(&other, &[]));
    let share = ["tenant/outbox/shares/dan.age", "--identity", "people/dan.identity"];
    let code = stage.custodian(&[&["share", "check"], &share[..]].concat()).ok();
    let own = stage.words("own", &code);
    tells(3, &["dan"], || confirm(&own, &["--deputy"]));
    tells(0, &["dan"], || {
        stage.command("tenant", &["share", "reissue", "dan", "--to", "again.age"])
    });
}

fn what_was_signed(stage: &Stage) {
    stage.approve("tenant", "export", &["iris"]);
    let verify = ["verify", "tenant", "hoster"];
    // Of the custodians, whom the refusals name.
    let all = ["ada", "ben", "hana", "hedy", "hugo", "iris", "cyd", "dan"];
    tells(0, &all, || program(stage, programs::AUDIT, &verify));
    tells(0, &["hana", "hedy"], || stage.command("hoster", &["release"]));
}

/// The transcript tells each entry; who is who stands in a table of its own.
fn transcript(stage: &Stage) {
    let abort = ["abort", "--reason", "a test", "--without-hsm"];
    stage.pass("tenant", "abort", &abort);
    stage.tenant(&abort).ok();
    tells(0, &["ada", "ben", "cora", "iris"], || stage.command("tenant", &["close"]));
    for (language, copy) in [("en", 1), ("de", 2)] {
        stage.tenant(&["print", "transcript", "--language", language]).ok();
        let page = stage.path(&format!("tenant/paper/transcript-{copy}.html"));
        let page = fs::read_to_string(page).unwrap();
        let cells =
            page.split("<td").filter_map(|cell| cell.split("</td>").next()?.split_once('>'));
        let entries: Vec<&str> =
            cells.map(|(_, cell)| cell).filter(|it| it.contains(' ')).collect();
        let all = told(&entries.join("\n"));
        assert!(all.is_superset(&CUSTODIANS.into()) && all.contains("ada"), "{entries:#?}");
    }
}

/// What an officer reads on their own desk.
fn on_the_desk(stage: &Stage) {
    let sign = |path: &str, id: &str, key: &str, more: &[&str]| {
        let key = format!("people/{key}");
        let words = ["sign", path, "--as", id, "--key", &key];
        let mut command = program(stage, programs::OFFICER, &[&words[..], more].concat());
        command.env_remove("DISPLAY").env_remove("SSH_ASKPASS");
        command
    };
    let plan = ["--plan", "plan/ceremony.toml"];
    let unasked = [&plan[..], &["--yes"]].concat();
    // What the receipt says, and the question.
    tells(4, &["hugo", "cyd", "eve", "gus"], || sign("medium/receipt", "hugo", "hugo", &plan));
    for own in [&unasked[..], &["--yes"]] {
        tells(0, &["hugo"], || {
            let _ = fs::remove_file(stage.path("plan/ceremony.toml.hugo.sig"));
            sign("plan/ceremony.toml", "hugo", "hugo", own)
        });
        tells(0, &["hugo"], || sign("plan/ceremony.toml", "hugo", "hugo", own));
    }
    // Nothing waits, it is the other side's, it is another's key.
    tells(3, &["ada"], || sign("medium/receipt", "ada", "ada", &unasked));
    tells(3, &["ada"], || sign("medium/receipt/receipt.json", "ada", "ada", &unasked));
    tells(3, &["ada", "ben"], || sign("alone/ceremony.toml", "ada", "ben", &["--yes"]));
}
