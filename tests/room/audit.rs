//! The auditor over finished ceremonies: what it accepts, and that it accepts nothing that was
//! changed.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::common::{
    programs, run,
    stage::{DOCUMENTS, Done, Ended, Stage, ended},
};
use record::{
    Result,
    encoding::Hash,
    log::{MAX_LINE, MAX_LOG},
    rule::Rule,
    verify::{self, Against, Verdict},
};

fn verify(folders: &[&Path]) -> Result<Verdict> {
    let folders: Vec<PathBuf> = folders.iter().map(|folder| folder.to_path_buf()).collect();
    verify::verify(&folders, &Against::default())
}

fn program(arguments: &[&str]) -> Ended {
    ended(Command::new(programs::AUDIT).args(arguments))
}

/// Every file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

fn copy_of(folder: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    run(Command::new("cp").arg("-a").arg(format!("{}/.", folder.display())).arg(copy.path()));
    copy
}

#[test]
fn a_finished_ceremony_holds_and_nothing_that_was_changed_does() {
    let stage = Stage::at(Done::TenantClose);
    let (tenant, hoster) = (stage.path("tenant"), stage.path("hoster"));
    stage.sign_heads();
    stage.sign(&tenant.join("archive/head.json"), "keyferry-head", "iris");
    whole(&tenant, &hoster);
    anchored(&stage);
    parts(&tenant, &hoster);
    sticks(&stage);
    quiet(&stage);
    every_file_changed(&tenant.join("archive"));
    rewritten_log(&tenant, &hoster);
    spliced(&tenant.join("archive"));
}

fn whole(tenant: &Path, hoster: &Path) {
    let verdict = verify(&[tenant, hoster]).unwrap();
    assert_eq!(verdict.missing, Vec::<String>::new());
    assert!(
        verdict.holds.iter().any(|line| line.contains("4 pieces of evidence")),
        "{:?}",
        verdict.holds
    );
    assert!(
        verdict.noted.iter().any(|line| line.contains("WRAP-OAEP-SHA1")),
        "{:?}",
        verdict.noted
    );
    let archive = verify(&[&tenant.join("archive")]).unwrap();
    assert!(
        archive.holds.iter().any(|line| line.contains("signed by ada, ben, Iris")),
        "{:?}",
        archive.holds
    );
    assert!(
        archive.claims.iter().any(|line| line.contains("signers not anchored")),
        "{:?}",
        archive.claims
    );
}

fn anchored(stage: &Stage) {
    let archive = stage.path("tenant/archive");
    let archive = archive.to_str().unwrap();
    let plan =
        stage.json("medium/offer/offer.json")["header"]["plan_hash"].as_str().unwrap().to_owned();
    let head = stage.json("tenant/archive/head.json")["head"].as_str().unwrap().to_owned();
    let text = program(&["verify", archive, "--expect-plan", &plan, "--expect-head", &head]).ok();
    assert!(!text.contains("not anchored"), "{text}");
    // A hash from another paper.
    program(&["verify", archive, "--expect-plan", &head]).refused("PLAN-CHANGED");
    program(&["verify", archive, "--expect-head", &plan]).refused("LOG-CHAIN");
    let json = program(&["verify", archive, "--json"]).ok();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert!(json["holds"].as_array().unwrap().len() > 10);
}

/// Less evidence is accepted, and what is missing is said.
fn parts(tenant: &Path, hoster: &Path) {
    // The other side's last entries come after what it sent, and its requests stay with it.
    for (side, other, approvals) in [(tenant, "hoster", 3), (hoster, "tenant", 1)] {
        let missing = vec![
            format!("the end of the {other}'s log: it is not closed there"),
            format!(
                "the requests that officers of the {other} signed: {approvals} approvals rest on its log"
            ),
        ];
        assert_eq!(verify(&[side]).unwrap().missing, missing);
    }
    let copy = copy_of(tenant);
    fs::remove_dir_all(copy.path().join("archive")).unwrap();
    fs::remove_dir_all(copy.path().join("inbox/closing")).unwrap();
    for name in files(&copy.path().join("approvals")) {
        fs::remove_file(name).unwrap();
    }
    says_missing(
        &verify(&[copy.path()]).unwrap(),
        &["the closing", "the log of the hoster", "the request with SHA-256"],
    );
}

#[track_caller]
fn says_missing(verdict: &Verdict, all: &[&str]) {
    for what in all {
        let missing = &verdict.missing;
        assert!(missing.iter().any(|line| line.starts_with(what)), "{what}: {missing:?}");
    }
}

/// A stick with some documents, or one document's folder, and a plan from elsewhere.
fn sticks(stage: &Stage) {
    let (medium, plan) = (stage.path("medium"), stage.path("plan/ceremony.toml"));
    let with_plan = Against { plan_file: Some(plan.clone()), ..Against::default() };
    let verdict = verify::verify(std::slice::from_ref(&medium), &with_plan).unwrap();
    says_missing(
        &verdict,
        &["the end of the tenant's log", "the requests that officers of the hoster signed"],
    );
    assert!(verdict.holds.iter().any(|line| line.contains("4 pieces of evidence")));
    // The acceptance brings a log, the plan lies in another folder.
    let acceptance = medium.join("acceptance");
    let verdict = verify(&[&acceptance, &stage.path("plan")]).unwrap();
    says_missing(&verdict, &["the offer", "the closing", "the log of the hoster"]);
    assert!(verdict.holds.iter().any(|line| line.contains("of the tenant is one chain")));
    // Unsigned, a plan from elsewhere still says whose keys count.
    fs::copy(&plan, stage.path("alone.toml")).unwrap();
    let alone = Against { plan_file: Some(stage.path("alone.toml")), ..Against::default() };
    let verdict = verify::verify(std::slice::from_ref(&acceptance), &alone).unwrap();
    says_missing(&verdict, &["enough signatures over the plan"]);
    program(&["verify", medium.to_str().unwrap()]).ended_with(2);
    program(&["verify", stage.path("people").to_str().unwrap()]).ended_with(1);
    // A document of a stick that no log of the side's own record names is another one.
    let other = copy_of(&medium);
    let offer = other.path().join("offer/offer.json");
    let text = fs::read_to_string(&offer).unwrap();
    fs::write(&offer, text.replacen("\n", "\n\n", 1)).unwrap();
    assert!(verify(&[&stage.path("tenant"), other.path()]).is_err());
    fs::remove_file(offer.with_extension("json.hana.sig")).unwrap();
    fs::remove_file(offer.with_extension("json.hugo.sig")).unwrap();
    let error = verify(&[&stage.path("tenant"), other.path()]).unwrap_err();
    assert_eq!(error.rule(), Some(Rule::DocumentHash), "{error}");
}

/// Exit code alone, and hashes as paper has them.
fn quiet(stage: &Stage) {
    let archive = stage.path("tenant/archive");
    let archive = archive.to_str().unwrap();
    let plan = Hash::of(&fs::read(stage.path("plan/ceremony.toml")).unwrap());
    let words = record::fingerprint::words(&plan.0).join(" ").to_uppercase();
    let said = program(&["verify", archive, "--expect-plan", &words, "--quiet"]);
    assert_eq!((said.code, said.out.as_str(), said.err.as_str()), (0, "", ""));
    let said = program(&["verify", archive, "--expect-head", &words, "--quiet"]);
    assert_eq!((said.code, said.out.as_str(), said.err.as_str()), (3, "", ""));
    program(&["verify", archive, "--expect-plan", &words[1..]]).ended_with(2);
}

/// Some bits of every file, its end cut off, and a byte added: refused, by whatever rule notices
/// first.
fn every_file_changed(archive: &Path) {
    let copy = copy_of(archive);
    let all = files(copy.path());
    assert!(all.len() > 30, "{all:?}");
    for file in all {
        // What explains itself to people and is signed by nobody is covered by SHA256SUMS like
        // everything else.
        let bytes = fs::read(&file).unwrap();
        let mut changed: Vec<Vec<u8>> =
            vec![bytes[..bytes.len() - 1].to_vec(), [bytes.as_slice(), b"\n"].concat(), Vec::new()];
        for step in 0..24 {
            let mut flipped = bytes.clone();
            let bit = step * bytes.len() * 8 / 24 + step % 8;
            flipped[bit / 8] ^= 1 << (bit % 8);
            changed.push(flipped);
        }
        for change in changed {
            // Removed first: an archive's files may be links of a copy.
            fs::write(&file, &change).unwrap();
            let found = verify(&[copy.path()]);
            assert!(
                found.is_err(),
                "{} changed to {} bytes was accepted",
                file.display(),
                change.len()
            );
        }
        fs::remove_file(&file).unwrap();
        let optional = file.extension().is_some_and(|extension| extension == "sig")
            && file.to_string_lossy().contains("head.json");
        assert_eq!(verify(&[copy.path()]).is_ok(), optional, "{} removed", file.display());
        fs::write(&file, &bytes).unwrap();
    }
    verify(&[copy.path()]).unwrap();
}

/// One bit of every file of both sides' folders: refused, or the verdict names the file as a claim
/// or as not looked at.
#[test]
fn no_file_of_a_ceremony_folder_goes_unmentioned() {
    let stage = Stage::at(Done::TenantClose);
    let folders = [stage.path("tenant"), stage.path("hoster")];
    let others = [
        "tenant/paper/script-1.html",
        "tenant/.archive/head.json",
        "tenant/outbox/.offer/offer.json",
        "tenant/inbox/package/package.json",
        "hoster/register/Of-Somebody.ps1",
        "hoster/evidence/node9-ready-0123456789abcdef.txt",
        "hoster/notes from the day.txt",
    ];
    for other in others {
        fs::create_dir_all(stage.path(other).parent().unwrap()).unwrap();
        fs::write(stage.path(other), "something else").unwrap();
    }
    let all: Vec<PathBuf> = folders.iter().flat_map(|folder| files(folder)).collect();
    let mut named = Vec::new();
    for (n, file) in all.iter().enumerate() {
        let whole = fs::read(file).unwrap();
        let mut changed = whole.clone();
        changed[n * 37 % whole.len()] ^= 1 << (n % 7);
        fs::write(file, changed).unwrap();
        if let Ok(verdict) = verify::verify(&folders, &Against::default()) {
            let mut lines = verdict.claims.iter().chain(&verdict.unread);
            let of = |line: &String| {
                let place =
                    file.ancestors().take_while(|path| !folders.contains(&path.to_path_buf()));
                place.into_iter().any(|path| line.starts_with(&*path.to_string_lossy()))
            };
            assert!(lines.any(of), "{}: {verdict:?}", file.display());
            named.push(file.strip_prefix(stage.dir.path()).unwrap().to_str().unwrap().to_owned());
        }
        fs::write(file, whole).unwrap();
    }
    let mut expected: Vec<_> = others.into_iter().chain(["hoster/registry.json"]).collect();
    expected.sort();
    named.sort();
    assert_eq!(named, expected);
    println!("counted: {} files, {} refused when changed", all.len(), all.len() - named.len());
    assert!(all.len() > 190, "{}", all.len());
}

/// A log that was rewritten as a whole chain still contradicts the documents and the copy that
/// travelled.
fn rewritten_log(tenant: &Path, hoster: &Path) {
    let copy = copy_of(tenant);
    let path = copy.path().join("log.jsonl");
    let mut prev = "0".repeat(64);
    let mut rewritten = String::new();
    for line in fs::read_to_string(&path).unwrap().lines() {
        let mut entry: serde_json::Value = serde_json::from_str(line).unwrap();
        entry["prev"] = prev.clone().into();
        if entry["seq"] == 3 {
            entry["time"] = "2020-01-01T00:00:00Z".into();
        }
        let line = format!("{entry}\n");
        prev = Hash::of(line.as_bytes()).to_string();
        rewritten.push_str(&line);
    }
    fs::write(&path, rewritten).unwrap();
    let error = verify(&[copy.path()]).unwrap_err();
    assert_eq!(error.rule(), Some(Rule::LogChain));
    assert!(error.to_string().contains("a fork: entry 3"), "{error}");
    assert_eq!(verify(&[copy.path(), hoster]).unwrap_err().rule(), Some(Rule::LogChain));
}

/// Every document of another ceremony in the place of this one's.
fn spliced(archive: &Path) {
    let other = Stage::another(Done::TenantClose);
    for kind in DOCUMENTS {
        let copy = copy_of(archive);
        fs::remove_dir_all(copy.path().join(kind)).unwrap();
        run(Command::new("cp")
            .arg("-a")
            .arg(other.path("tenant/archive").join(kind))
            .arg(copy.path().join(kind)));
        assert!(verify(&[copy.path()]).is_err(), "another ceremony's {kind}");
        fs::remove_dir_all(copy.path().join(kind)).unwrap();
        let missing = verify(&[copy.path()]).unwrap_err();
        assert_eq!(missing.rule(), Some(Rule::ArchiveIncomplete), "no {kind}: {missing}");
    }
}

#[test]
fn hostile_text_of_a_record_reaches_the_terminal_escaped_only() {
    let mut stage = Stage::at(Done::Init);
    stage.tenant(&["note", "remark", "bell \u{7} red \u{1b}[31m and \u{202e}backwards"]).ok();
    let text = program(&["verify", stage.path("tenant").to_str().unwrap()]).ok();
    assert!(
        text.contains("\\u{7}") && text.contains("\\u{1b}") && text.contains("\\u{202e}"),
        "{text}"
    );
    assert!(!text.contains('\u{1b}') && !text.contains('\u{7}'));
    stage.walk_to(Done::KekCreate);
    let unreleased = verify(&[&stage.path("hoster")]).unwrap();
    assert!(
        unreleased.missing.iter().any(|line| line.contains("not released")),
        "{:?}",
        unreleased.missing
    );
}

/// The longest logs that may come from elsewhere take as much memory as the formats allow; longer
/// ones are refused by their length, but by the side that goes on with its own.
#[test]
fn a_log_has_limits_and_none_at_its_own_side() {
    let stage = Stage::at(Done::Init);
    let path = stage.path("hoster/log.jsonl");
    let init = fs::read_to_string(&path).unwrap();
    assert_eq!(init.lines().count(), 1);
    // As many entries of these fields as there is room for.
    let filled = |room: usize, fields: &str| {
        let (mut log, mut seq) = (String::new(), 1);
        let mut line = init.clone();
        while log.len() + line.len() <= room {
            log.push_str(&line);
            seq += 1;
            let prev = Hash::of(line.as_bytes());
            line = fields.replacen("PREV", &format!("\"prev\":\"{prev}\""), 1);
            line = line.replacen("SEQ", &format!("\"seq\":{seq}"), 1);
            line = format!("{{{line},\"time\":\"2026-11-24T00:56:45Z\"}}\n");
        }
        (log, seq - 1)
    };
    // In KiB of address space, which the program itself and its libraries take 40 MB of.
    let limited = |what: &str| {
        let program = programs::AUDIT;
        let line = format!("ulimit -v 90000; exec {program} {what}");
        ended(Command::new("sh").args(["-c", &line]).current_dir(stage.path("")))
    };
    let intent = r#""attempt":1,"event":"intent",PREV,SEQ,"step":"kek-create""#;
    let nothing = "\"\",".repeat((MAX_LINE - 300) / 3);
    let note =
        format!(r#""event":"note",PREV,"remark":{{"kind":"break","stayed":[{nothing}""]}},SEQ"#);
    for fields in [intent, &note] {
        let (log, entries) = filled(MAX_LOG as usize, fields);
        fs::write(&path, log).unwrap();
        let verdict = limited("verify hoster").ok();
        assert!(verdict.contains(&format!("one chain of {entries} entries")));
        let told = limited("show hoster/log.jsonl").ok();
        assert!(told.contains(&format!("entries:      {entries}")));
    }
    let (longer, _) = filled(MAX_LOG as usize + 1000, intent);
    assert!(longer.len() as u64 > MAX_LOG);
    fs::write(&path, &longer).unwrap();
    limited("verify hoster").refused("DOCUMENT-SIZE");
    limited("show hoster/log.jsonl").refused("DOCUMENT-SIZE");
    stage.hoster(&["note", "remark", "the ceremony goes on"]).ok();
    stage.hoster(&["status"]).ok();
    let log = fs::read_to_string(&path).unwrap();
    assert!(log.starts_with(&longer) && log.contains("the ceremony goes on"));
}
