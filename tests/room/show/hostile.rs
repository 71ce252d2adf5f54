//! Files whose writer means harm.

use std::{fs, path::Path, process::Command};

use serde_json::Value;

use super::{every_kind, says};
use crate::common::{run, stage::Stage};
use record::encoding::Hash;

/// Moves the cursor, rings, ends a text early, turns the line round, pretends to be a line of ours,
/// and hides.
const FOUL: &str = "\u{1b}[2J\u{7}\u{0}\r\n\u{202e}\u{2066}SHA-256 of this file: \u{9b}31m\u{200b}\u{feff}\u{e0041}";

pub fn contents(stage: &Stage) {
    for file in every_kind(stage) {
        match file.extension().and_then(|extension| extension.to_str()) {
            Some("json") => every_text_of(&file),
            Some("jsonl") => every_text_of_entries(&file),
            Some("toml") => plan(&file),
            _ => {}
        }
        damaged(&file);
    }
    signature(stage);
    doubled(stage);
    cut_is_said(stage);
    names(stage);
    large(stage);
    not_plain(stage);
    no_text();
}

/// A sealed key or an HSM's signature may begin as JSON or XML does, and is called neither.
fn no_text() {
    let dir = tempfile::tempdir().unwrap();
    for (name, first) in ["key.sealed", "package.json.key.hsm-sig"].into_iter().zip(*b"{<") {
        let path = dir.path().join(name);
        fs::write(&path, [&[first][..], &[0xff; 255]].concat()).unwrap();
        let said = harmless(&path);
        assert!(said.contains("DOCUMENT-KIND") && said.contains("neither JSON nor text"), "{said}");
    }
}

/// Whatever is shown of a file, or of why it is not: nothing of it acts on a terminal, or begins a
/// line of its own.
fn harmless(path: &Path) -> String {
    let mut out = Vec::new();
    let error = ::show::show(path, ::show::Language::English, &mut out).err();
    let mut text = String::from_utf8(out).unwrap();
    let said = error.map(|error| error.to_string()).unwrap_or_default();
    text.push_str(&said);
    let foul = |c: char| c != '\n' && (c.is_control() || FOUL.contains(c) && !c.is_ascii());
    assert!(!text.contains(foul), "{}: {text:?}", path.display());
    for line in text.lines().filter(|line| line.starts_with("SHA-256 of this file: ")) {
        let hash = Hash::of(&fs::read(path).unwrap()).to_string();
        assert_eq!(line, format!("SHA-256 of this file: {hash}"));
    }
    assert!(text.len() < 400_000, "{} bytes are shown", text.len());
    text
}

/// The ways to every text of a JSON file and to every name.
fn texts(value: &Value, way: &str, found: &mut Vec<String>) {
    match value {
        Value::String(_) => found.push(way.to_owned()),
        Value::Array(list) => {
            let members = list.iter().enumerate();
            members.for_each(|(n, value)| texts(value, &format!("{way}/{n}"), found));
        }
        Value::Object(fields) => {
            let members = fields.iter();
            members.for_each(|(name, value)| texts(value, &format!("{way}/{name}"), found));
        }
        _ => {}
    }
}

/// Every text of a file in turn is foul, and long; and every object has a field with a foul name.
fn every_text_of(file: &Path) {
    let whole: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(file.file_name().unwrap());
    let mut ways = Vec::new();
    texts(&whole, "", &mut ways);
    assert!(ways.len() > 3, "{}", file.display());
    let step = (ways.len() / 60).max(1);
    for (n, way) in ways.iter().step_by(step).enumerate() {
        let mut changed = whole.clone();
        let long = if n % 10 == 0 { "x".repeat(1 << 18) } else { String::new() };
        *changed.pointer_mut(way).unwrap() = format!("{FOUL}{long}").into();
        fs::write(&path, serde_json::to_vec_pretty(&changed).unwrap()).unwrap();
        harmless(&path);
        let mut named = whole.clone();
        let parent = way.rsplit_once('/').unwrap().0;
        if let Some(Value::Object(fields)) = named.pointer_mut(parent) {
            fields.insert(FOUL.into(), true.into());
            fs::write(&path, serde_json::to_vec_pretty(&named).unwrap()).unwrap();
            harmless(&path);
        }
    }
}

/// The same of a log, whose chain is made anew.
fn every_text_of_entries(file: &Path) {
    let text = fs::read_to_string(file).unwrap();
    let entries: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.jsonl");
    for (n, entry) in entries.iter().enumerate() {
        let mut ways = Vec::new();
        texts(entry, "", &mut ways);
        for way in ways {
            let mut changed = entries.clone();
            *changed[n].pointer_mut(&way).unwrap() = FOUL.into();
            fs::write(&path, chained(changed)).unwrap();
            harmless(&path);
        }
    }
    let mut noted = entries.clone();
    for text in [FOUL.to_owned(), "x".repeat(1 << 18), "\n     9  closed".into()] {
        noted.insert(
            2,
            serde_json::json!({"event": "note", "remark": {"kind": "remark", "text": text}, "time": "2026-11-24T00:00:00Z"}),
        );
    }
    // The close counts its log's entries; what it says is not this test's matter.
    fs::write(&path, chained(noted)).unwrap();
    let told = harmless(&path);
    says(
        &told,
        &[
            "NOTED by the people: note: \\u{1b}[2J\\u{7}\\0\\r\\n\\u{202e}",
            "CUT: the first 4000 of ",
            "\\n     9  closed",
        ],
    );
}

fn chained(entries: Vec<Value>) -> String {
    let mut prev = "0".repeat(64);
    let mut log = String::new();
    for (mut entry, seq) in entries.into_iter().zip(1..) {
        if entry["prev"] != FOUL {
            entry["prev"] = prev.clone().into();
        }
        entry["seq"] = seq.into();
        let line = format!("{entry}\n");
        prev = Hash::of(line.as_bytes()).to_string();
        log.push_str(&line);
    }
    log
}

fn plan(file: &Path) {
    let whole = fs::read_to_string(file).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ceremony.toml");
    let foul: String = FOUL.chars().map(|c| format!("\\U{:08x}", u32::from(c))).collect();
    let long = "x".repeat(500_000);
    let mut taken = 0;
    for line in whole.lines().filter(|line| line.contains('"')) {
        let mut parts: Vec<&str> = line.split('"').collect();
        for n in (1..parts.len()).step_by(2) {
            let right = std::mem::replace(&mut parts[n], &foul);
            fs::write(&path, whole.replacen(line, &parts.join("\""), 1)).unwrap();
            taken += usize::from(harmless(&path).contains("This is a plan"));
            parts[n] = &long;
            fs::write(&path, whole.replacen(line, &parts.join("\""), 1)).unwrap();
            harmless(&path);
            parts[n] = right;
        }
    }
    assert!(taken > 5, "names and reasons are free text, and were shown {taken} times");
}

/// Single bits, zeros in the middle, and a file twice.
fn damaged(file: &Path) {
    let whole = fs::read(file).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(file.file_name().unwrap());
    let middle = whole.len() / 2;
    let zeros = [&whole[..middle], &[0; 64], &whole[middle..]].concat();
    for bytes in [zeros, [whole.as_slice(), &whole].concat()] {
        fs::write(&path, bytes).unwrap();
        harmless(&path);
        assert!(
            ::show::show(&path, ::show::Language::English, &mut Vec::new()).is_err(),
            "{}",
            file.display()
        );
    }
    for n in 0..100 {
        let mut flipped = whole.clone();
        let bit = n * whole.len() * 8 / 100 + n % 8;
        flipped[bit / 8] ^= 1 << (bit % 8);
        fs::write(&path, flipped).unwrap();
        harmless(&path);
    }
}

/// A signature for a purpose that acts on terminals, in a file whose name does.
fn signature(stage: &Stage) {
    let message = stage.path("message");
    fs::write(&message, "x").unwrap();
    run(Command::new("ssh-keygen")
        .args(["-q", "-Y", "sign", "-n", "\u{1b}[31m\u{202e}", "-f"])
        .arg(stage.path("people/ada"))
        .arg(&message));
    let foul = stage.path("message.\u{1b}[31m.sig");
    fs::rename(stage.path("message.sig"), &foul).unwrap();
    says(
        &harmless(&foul),
        &[
            "namespace:    \\u{1b}[31m\\u{202e}",
            "NOT A PURPOSE OF KEYFERRY",
            "named after:  \\u{1b}[31m, over message",
        ],
    );
}

/// A field that stands twice could be read as either.
fn doubled(stage: &Stage) {
    for (name, field) in [
        ("tenant/approvals/01-pin-try.json", "\"earlier_tries\": 0"),
        ("tenant/approvals/01-pin-try.json", "\"gate\": \"pin-try\""),
        ("medium/offer/offer.json", "\"oaep_hash\": \"sha1\""),
    ] {
        let text = fs::read_to_string(stage.path(name)).unwrap();
        let path = stage.path("doubled.json");
        fs::write(&path, text.replacen(field, &format!("{field}, {field}"), 1)).unwrap();
        let error = ::show::show(&path, ::show::Language::English, &mut Vec::new()).unwrap_err();
        says(&error.to_string(), &["DOCUMENT-FORMAT"]);
    }
}

/// An officer is told where not everything is shown, and what this version does not know is.
fn cut_is_said(stage: &Stage) {
    let mut request = stage.json("tenant/approvals/01-pin-try.json");
    let path = stage.path("request.json");
    request["gate"] = "unheard-of".into();
    request["deadline"] = "never".into();
    request["summary"] = "y\n".repeat(9000).into();
    request["subject"]["many"] = (0..9000).collect::<Vec<u32>>().into();
    request["subject"]["long"] = "z".repeat(9000).into();
    fs::write(&path, serde_json::to_vec_pretty(&request).unwrap()).unwrap();
    says(
        &harmless(&path),
        &[
            "NOT EVERYTHING IS SHOWN: 5001 more lines",
            "NOT EVERYTHING IS SHOWN: 50",
            "(CUT: the first 4000 of 90",
            "does not know this gate",
            "deadline: never",
        ],
    );
}

/// A name is text like any other, and a shell takes it for one in a line to be copied.
fn names(stage: &Stage) {
    let offer = stage.path("medium/offer/offer.json");
    for name in
        ["a;reboot.json", "a b.json", "$(reboot).json", "a\n.json", "a\u{202e}.json", "a'.json"]
    {
        let path = stage.path(name);
        fs::copy(&offer, &path).unwrap();
        let text = harmless(&path);
        let line = text.lines().find(|line| line.contains("ssh-keygen -Y sign")).unwrap();
        let key = stage.path("people/ada").display().to_string();
        let line = line.replace("-f KEY", &format!("-f {key}")).replace("YOUR-ID", "ada");
        run(Command::new("sh").arg("-c").arg(line));
        assert!(stage.path(&format!("{name}.ada.sig")).exists(), "{text}");
        let line = text.lines().find(|line| line.contains("keyferry-officer sign")).unwrap();
        let shell = format!("{}() {{ printf %s \"$2\"; }}; {line}", "keyferry-officer");
        let given = run(Command::new("bash").arg("-c").arg(shell));
        assert_eq!(given, path.as_os_str().as_encoded_bytes(), "{line}");
    }
    // Also where there is nothing to show but the name.
    let (large, link) = (stage.path("l\u{1b}[2J.json"), stage.path("k\u{202e}.json"));
    fs::File::create(&large).unwrap().set_len(100 << 20).unwrap();
    std::os::unix::fs::symlink(&offer, &link).unwrap();
    says(&harmless(&large), &["l\\u{1b}[2J.json has 104857600 bytes"]);
    says(&harmless(&link), &["k\\u{202e}.json is a link"]);
    harmless(&stage.path("gone\u{7}.json"));
    let other = stage.path("package.json");
    fs::copy(&offer, &other).unwrap();
    says(&harmless(&other), &["ITS NAME IS WRONG: it is called package.json"]);
}

/// What is too large is refused at once, by its length; what is nothing, by its first bytes.
fn large(stage: &Stage) {
    let folder = stage.path("large");
    fs::create_dir(&folder).unwrap();
    for name in
        ["offer.json", "log.jsonl", "ceremony.toml", "registry.json", "head.json.ada.sig", "zeros"]
    {
        for (size, rule) in [(100 << 20, "DOCUMENT-SIZE"), (60 << 20, ""), (0, "")] {
            let path = folder.join(name);
            fs::File::create(&path).unwrap().set_len(size).unwrap();
            let ended = stage.auditor_within(2, &["show", &format!("large/{name}")]);
            assert_eq!(ended.code, 3, "{name} of {size} bytes: {} {}", ended.out, ended.err);
            says(&ended.err, &[rule]);
        }
    }
}

fn not_plain(stage: &Stage) {
    run(Command::new("mkfifo").arg(stage.path("fifo.json")));
    std::os::unix::fs::symlink(stage.path("medium/offer/offer.json"), stage.path("link.json"))
        .unwrap();
    for name in ["fifo.json", "link.json", "medium", "/dev/zero"] {
        stage.auditor(&["show", name]).refused("DOCUMENT-LINK");
    }
    assert_eq!(stage.auditor(&["show", "nothing.json"]).code, 1);
    fs::write(stage.path("other.json"), "{\"a\": 1, \"b\": {}}").unwrap();
    let err = stage.auditor(&["show", "other.json"]).err;
    says(&err, &["a JSON file with the fields a, b", "DOCUMENT-KIND", "a plan (ceremony.toml)"]);
}
