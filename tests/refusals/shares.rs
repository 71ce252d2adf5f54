//! Shares that are wrong, too few, or another's.

use std::{io::Write, process::Stdio};

use super::*;
use crate::gates::events;
use custody::{
    custodian::{encrypt_share, open_share},
    share::{Secret, Share, deal},
};
use record::encoding::Fixed;

fn open(stage: &Stage, id: &str) -> Share {
    let read = |path: String| fs::read(stage.path(&path)).unwrap();
    let (file, identity) =
        (read(format!("tenant/outbox/shares/{id}.age")), read(format!("people/{id}.identity")));
    let opened = open_share(&file, &identity, &|_| unreachable!("it has no passphrase"));
    opened.unwrap().share
}

/// A share of another ceremony, with the same M, N and x.
fn foreign() -> Share {
    let package = Fixed([7; 16]);
    let secret = Secret::derive(&[1; 32], &[2; 32], &package, &Hash::of(b"another plan")).unwrap();
    deal(&secret, package, 3, 5).unwrap().remove(0)
}

fn import(shares: &[String]) -> Vec<String> {
    [vec!["import".to_owned(), "medium/package".into()], shares.to_vec()].concat()
}

#[test]
fn only_a_quorum_of_this_packages_shares_imports() {
    let stage = Stage::at(Done::PackageCheck);
    stage.pass("hoster", "import", &["import", "medium/package"]);
    let pair = |file: &str, identity: &str| -> Vec<String> {
        ["--share", file, "--identity", identity].map(str::to_owned).to_vec()
    };
    let share = |id: &str| fs::read(stage.path(&format!("tenant/outbox/shares/{id}.age"))).unwrap();
    let mut bent = share("cyd");
    bent[200] ^= 1;
    fs::write(stage.path("bent.age"), bent).unwrap();
    fs::write(stage.path("cut.age"), &share("cyd")[..300]).unwrap();
    let recipient = fs::read_to_string(stage.path("people/cyd.recipient")).unwrap();
    fs::write(stage.path("foreign.age"), encrypt_share(&foreign(), &[recipient]).unwrap()).unwrap();
    std::os::unix::fs::symlink("tenant/outbox/shares/cyd.age", stage.path("link.age")).unwrap();
    let identity = "people/cyd.identity";
    let cyd = "tenant/outbox/shares/cyd.age";
    let two = stage.shares(&["cyd", "dan"]);
    for (shares, rule, named) in [
        (vec![], "SHARE-QUORUM", "cyd"),
        (two.clone(), "SHARE-QUORUM", "eve, fay, gus"),
        ([two.clone(), stage.shares(&["cyd"])].concat(), "SHARE-REPEATED", "cyd"),
        (pair(cyd, "people/dan.identity"), "SHARE-IDENTITY", ""),
        (pair(cyd, "pin"), "SHARE-IDENTITY", ""),
        (pair(cyd, "people/hana"), "SHARE-IDENTITY", "an SSH key, with which officers sign"),
        (pair(cyd, "people/cyd.recipient"), "SHARE-IDENTITY", "a recipient, age1"),
        (pair("bent.age", identity), "SHARE-FILE", "bent.age"),
        (pair("cut.age", identity), "SHARE-FILE", "cut.age"),
        (pair("foreign.age", identity), "SHARE-FILE", "foreign.age"),
        (pair("link.age", identity), "DOCUMENT-LINK", "link.age"),
    ] {
        let text = refused(&stage, "hoster", &strings(&import(&shares)), rule);
        assert!(text.contains(named), "{text}");
    }
    let three = stage.shares(&["dan", "fay", "gus"]);
    let right = import(&three);
    stage.hoster(&strings(&right)).ok();
    // The same again says that it is done, and does nothing.
    let log = fs::read(stage.path("hoster/log.jsonl")).unwrap();
    let said = stage.hoster(&strings(&right)).ok();
    assert!(said.contains("This is done already"), "{said}");
    assert_eq!(fs::read(stage.path("hoster/log.jsonl")).unwrap(), log);
    refused(&stage, "hoster", &["package", "check", "medium/package"], "PHASE-ORDER");
}

/// What a transfer in text mode, an editor or a mail program makes of a share file.
fn changed(file: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let text = std::str::from_utf8(file).unwrap();
    let utf16 = std::iter::once(0xfeff).chain(text.encode_utf16()).flat_map(u16::to_le_bytes);
    vec![
        ("CR LF", text.replace('\n', "\r\n").into_bytes()),
        ("a blank line at the end", [file, b"\n"].concat()),
        ("no line end", text.trim_end().as_bytes().to_vec()),
        ("a byte order mark", [b"\xef\xbb\xbf", file].concat()),
        ("UTF-16", utf16.collect()),
        ("blanks at the ends of lines", text.replace('\n', " \n").into_bytes()),
        ("without armour", custody::custodian::without_armour(file).unwrap()),
    ]
}

#[test]
fn a_share_that_was_changed_on_the_way_and_is_the_same_is_taken_and_both_hashes_are_on_record() {
    let mut stage = Stage::at(Done::PackageCheck);
    let shares = ["cyd", "dan", "eve"].map(|id| {
        let dealt = fs::read(stage.path(&format!("tenant/outbox/shares/{id}.age"))).unwrap();
        (id, dealt)
    });
    // In every way that share check takes, the file is as it was made, once that is undone.
    let identity = fs::read(stage.path("people/cyd.identity")).unwrap();
    for (how, bytes) in changed(&shares[0].1) {
        let made = custody::changed::as_made(&bytes).unwrap();
        assert_eq!(made.as_deref(), Some(&shares[0].1[..]), "{how}");
        fs::write(stage.path("changed.age"), &bytes).unwrap();
        let said = stage.custodian(&[
            "share",
            "check",
            "changed.age",
            "--identity",
            "people/cyd.identity",
        ]);
        assert!(
            said.code == 0 && said.err.contains("was changed on the way"),
            "{how}: {}",
            said.err
        );
    }
    // What a bit makes of it is the same share, or is refused; so is what is cut off.
    let dealt = &shares[0].1;
    let flips = (0..dealt.len() * 8).map(|bit| {
        let mut bent = dealt.clone();
        bent[bit / 8] ^= 1 << (bit % 8);
        bent
    });
    let (mut same, mut all) = (0, 0);
    for bent in flips.chain((0..dealt.len()).map(|end| dealt[..end].to_vec())) {
        all += 1;
        let made = custody::changed::as_made(&bent).unwrap();
        same += usize::from(made.as_ref() == Some(dealt));
    }
    println!("counted: {same} of {all} changed share files are the same share, once undone");
    assert!(same > 0 && same < all / 20, "{same} of {all}");
    // Identities in other lines open it too.
    for (how, bytes) in [
        ("CR LF", String::from_utf8_lossy(&identity).replace('\n', "\r\n").into_bytes()),
        ("a byte order mark", [b"\xef\xbb\xbf", &identity[..]].concat()),
        ("blanks", String::from_utf8_lossy(&identity).replace('\n', " \n").into_bytes()),
    ] {
        let opened = open_share(dealt, &bytes, &|_| unreachable!("it has no passphrase"));
        assert_eq!(opened.unwrap().share.commitment(), open(&stage, "cyd").commitment(), "{how}");
    }
    stage.pass("hoster", "import", &["import", "medium/package"]);
    let brought = [0, 4, 6].map(|n| changed(&shares[n / 3].1).swap_remove(n).1);
    let mut arguments = vec!["import".to_owned(), "medium/package".into()];
    for ((id, _), bytes) in shares.iter().zip(&brought) {
        fs::write(stage.path(&format!("{id}.brought")), bytes).unwrap();
        arguments.extend(["--share".into(), format!("{id}.brought")]);
        arguments.extend(["--identity".into(), format!("people/{id}.identity")]);
    }
    let said = stage.hoster(&strings(&arguments));
    assert!(said.code == 0 && said.err.contains("both hashes go on record"), "{}", said.err);
    let log = fs::read_to_string(stage.path("hoster/log.jsonl")).unwrap();
    let quorum = log.lines().rfind(|line| line.contains("\"event\":\"quorum\"")).unwrap();
    let quorum: serde_json::Value = serde_json::from_str(quorum).unwrap();
    for (((id, dealt), bytes), said) in
        shares.iter().zip(&brought).zip(quorum["changed"].as_array().unwrap())
    {
        assert_eq!(said["custodian"], *id);
        assert_eq!(said["brought"], Hash::of(bytes).to_string());
        assert_eq!(said["taken"], Hash::of(dealt).to_string());
    }
    // Both verifiers hold it to its end; and neither takes another hash for the dealt one.
    stage.done = Some(Done::Import);
    stage.walk_to(Done::TenantClose);
    stage.verdict();
}

#[test]
fn typed_shares_are_checked_as_they_come() {
    let stage = Stage::at(Done::PackageCheck);
    stage.pass("hoster", "import", &["import", "medium/package"]);
    let typed = |shares: &[String]| {
        let mut child = stage
            .command("hoster", &["import", "medium/package"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        for share in shares {
            // An empty line says that a share is typed. A program that has refused reads no more.
            let _ = input.write_all(format!("\n{share}\n").as_bytes());
        }
        drop(input);
        let output = child.wait_with_output().unwrap();
        Ended {
            code: output.status.code().unwrap(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    };
    let lines = |record: &[u8]| {
        let lines = custody::codes::lines::lines(record).unwrap();
        let lines: Vec<&str> = lines.iter().map(|line| line.as_str()).collect();
        lines.join("\n")
    };
    let text = |id: &str| lines(open(&stage, id).record().as_slice());
    let bent = |id: &str, at: usize| {
        let mut record = open(&stage, id).record().to_vec();
        record[at] ^= 1;
        lines(&record)
    };
    let other = text("eve");
    let slips = |places: &[usize]| {
        let mut slipped = other.clone().into_bytes();
        for at in places {
            slipped[*at] = if slipped[*at] == b'Q' { b'R' } else { b'Q' };
        }
        String::from_utf8(slipped).unwrap()
    };
    let line = other.find('\n').unwrap() + 1;
    for (shares, rule, named) in [
        (vec![text("cyd"), text("dan")], "SHARE-QUORUM", "eve, fay, gus"),
        (vec![text("cyd"), text("cyd")], "SHARE-REPEATED", "cyd"),
        (vec![bent("dan", 20)], "SHARE-COMMITMENT", "dan"),
        (vec![text("cyd"), bent("fay", 67)], "SHARE-COMMITMENT", "fay"),
        (vec![bent("gus", 17)], "SHARE-COMMITMENT", "gus"),
        (vec![bent("cyd", 5)], "SHARE-PACKAGE", ""),
        (vec![lines(foreign().record().as_slice())], "SHARE-PACKAGE", ""),
        (vec![bent("cyd", 0)], "SHARE-FORMAT", "version"),
        // Two wrong characters: their line is named.
        (vec![slips(&[0, 1])], "LINE-CHECK", "line 1:"),
        (vec![slips(&[line + 6, line + 32])], "LINE-CHECK", "line 2:"),
        (vec![slips(&[3 * line + 1, 3 * line + 12])], "LINE-CHECK", "line 4:"),
        (vec![other[..line - 2].to_owned()], "LINE-CHECK", "27 characters"),
    ] {
        let text = refused_by(&stage, "hoster", rule, || typed(&shares));
        assert!(text.contains(named), "{text}");
    }
    // In lower case, in other groups, it is the same share.
    let spaced = |id: &str| text(id).to_lowercase().replace(' ', "").replace("\n", " \n");
    // A small slip is restored, said, and put on record.
    let slipped = slips(&[1, line + 6, 3 * line + 31]);
    let said = typed(&[spaced("cyd"), slipped, spaced("gus")]);
    for line in [1, 2, 4] {
        let restored = format!("line {line}: 1 character was restored");
        assert!(said.err.contains(&restored), "{}", said.err);
    }
    said.ok();
    let entry = fs::read_to_string(stage.path("hoster/log.jsonl")).unwrap();
    let quorum = entry.lines().rfind(|line| line.contains("\"event\":\"quorum\"")).unwrap();
    assert!(
        quorum.contains(r#""custodians":["cyd","eve","gus"]"#) && quorum.contains(r#""spent":[]"#),
        "{quorum}"
    );
    let note = "slips of typing, restored by each line's own check: eve: share, line 1, 2, 4";
    let noted: Vec<&str> = entry.lines().filter(|line| line.contains("slips of typing")).collect();
    assert!(noted.len() == 1 && noted[0].contains(note), "{noted:?}");
    let verdict = stage.auditor(&["verify", "tenant", "hoster"]).ok();
    assert!(verdict.contains(note), "{verdict}");
}

#[test]
fn a_package_waits_until_every_custodian_has_the_right_share() {
    let stage = Stage::at(Done::Export);
    stage.sign_document("tenant", "package", &["ada", "ben"]);
    refused(&stage, "tenant", &["release"], "SHARE-UNCONFIRMED");
    let code = |id: &str| record::fingerprint::words(&open(&stage, id).code()).join(" ");
    let confirm = |id: &str, words: &str| {
        let words = stage.words("code", words);
        stage.tenant(&["share", "confirm", id, "--words", &words])
    };
    let nine = code("cyd").rsplit_once(' ').unwrap().0.to_owned();
    for (id, words, rule) in [
        ("cyd", code("dan"), "SHARE-CODE"),
        ("cyd", nine, "SHARE-CODE"),
        ("cyd", String::new(), "SHARE-CODE"),
        ("mallory", code("cyd"), "SHARE-CUSTODIAN"),
        ("ada", code("cyd"), "SHARE-CUSTODIAN"),
    ] {
        refused_by(&stage, "tenant", rule, || confirm(id, &words));
    }
    for id in ["cyd", "dan", "eve"] {
        confirm(id, &code(id).to_uppercase()).ok();
    }
    let text = refused(&stage, "tenant", &["release"], "SHARE-UNCONFIRMED");
    assert!(text.contains("not confirmed by fay, gus\n"), "{text}");
    // The plan names no second recipient for anybody.
    let words = stage.words("code", &code("fay"));
    let deputy = ["share", "confirm", "fay", "--deputy", "--words", &words];
    refused(&stage, "tenant", &deputy, "SHARE-CUSTODIAN");
    // One more than a quorum: now officers may sign for the rest.
    confirm("fay", &code("fay")).ok();
    let text = stage.tenant(&["release"]).ended_with(6);
    assert!(text.contains("although gus have not confirmed"), "{text}");

    // What is written again is the same file, and lies upon no other.
    fs::write(stage.path("taken.age"), "somebody's").unwrap();
    refused(&stage, "tenant", &["share", "reissue", "gus", "--to", "taken.age"], "FILE-EXISTS");
    assert_eq!(fs::read(stage.path("taken.age")).unwrap(), b"somebody's");
    stage.tenant(&["share", "reissue", "gus", "--to", "again.age"]).ok();
    let dealt = stage.path("tenant/outbox/shares/gus.age");
    assert_eq!(fs::read(stage.path("again.age")).unwrap(), fs::read(&dealt).unwrap());
    flip(&dealt, 100);
    refused(&stage, "tenant", &["share", "reissue", "gus", "--to", "third.age"], "SHARE-FILE");
    assert!(!stage.path("third.age").exists());
    flip(&dealt, 100);

    confirm("gus", &code("gus")).ok();
    stage.tenant(&["release"]).ok();
}

/// Whoever has presented a share is on record at once, and stays there when others open the seal.
#[test]
fn an_identity_that_was_opened_is_spent_whoever_imports() {
    let mut stage = Stage::at(Done::PackageCheck);
    stage.pass("hoster", "import", &["import", "medium/package"]);
    let one = import(&stage.shares(&["cyd"]));
    refused(&stage, "hoster", &strings(&one), "SHARE-QUORUM");
    // Nothing but the import itself waits for it.
    let said = stage.hoster(&["package", "check", "medium/package"]).refused("PHASE-ORDER");
    assert!(said.contains("the package that was taken already"), "{said}");
    let others = import(&stage.shares(&["dan", "fay", "gus"]));
    stage.hoster(&strings(&others)).ok();
    let named: Vec<_> = events(&stage, "hoster", "quorum")
        .iter()
        .map(|entry| (entry["custodians"].to_string(), entry["spent"].to_string()))
        .collect();
    let expected = ["[\"cyd\"]", "[\"dan\"]", "[\"dan\",\"fay\"]", "[\"dan\",\"fay\",\"gus\"]"];
    assert_eq!(named, expected.map(|names| (names.to_owned(), names.to_owned())));
    let receipt = &stage.json("hoster/outbox/receipt/receipt.json")["body"];
    assert_eq!(receipt["spent"], serde_json::json!(["dan", "fay", "gus"]));
    stage.done = Some(Done::Import);
    stage.walk_to(Done::TenantClose);
    let folders = ["tenant", "hoster"].map(|side| stage.path(side));
    let verdict = record::verify::verify(&folders, &record::verify::Against::default()).unwrap();
    let spent = |line: &String| line.contains("the identity of cyd was opened and is spent");
    assert!(verdict.noted.iter().any(spent), "{:?}", verdict.noted);
}
