//! Which files a document's folder may have, and how large each may be.

use super::*;

/// One byte more than a file's name allows is another rule than the file that nobody has listed.
#[test]
fn every_name_has_its_size_and_its_document() {
    const KIB16: u64 = 16 << 10;
    use Kind::*;
    let carried = [Offer, Package, Receipt, Registration, Acceptance, Closing];
    let born = [Keys, Challenge, Receipt, Registration, Acceptance, Closing];
    let names: [(&str, u64, &[Kind]); 13] = [
        ("zoe.sig", 0, &[]),
        ("x.hsm-sig", MAX_SIGNATURE, &Kind::ALL),
        ("x.sealed", KIB16, &Kind::ALL),
        ("x.crt", KIB16, &Kind::ALL),
        ("x.attestation", MAX_ATTESTATION, &[Offer, Keys]),
        ("x.attestation-report", MAX_ATTESTATION, &[Offer, Keys]),
        ("x-ready.json", MAX_EVIDENCE, &[Registration]),
        ("x-active.json", MAX_EVIDENCE, &[Registration]),
        ("node3.metadata.xml", MAX_METADATA, &[Acceptance]),
        ("node4.metadata.xml", MAX_METADATA, &[]),
        ("3.metadata.xml", 0, &[]),
        ("metadata.xml", 0, &[]),
        ("x.json", 0, &[]),
    ];
    for (way, kinds) in [("single-shot-hgs", carried), ("born-hgs", born)] {
        let kept = Kept::of(way);
        for kind in kinds {
            let copy = tempfile::tempdir().unwrap();
            for entry in fs::read_dir(kept.folder(kind)).unwrap() {
                let entry = entry.unwrap();
                fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
            }
            let with = |name: &str, length: u64| {
                let path = copy.path().join(name);
                let before = fs::read(&path).ok();
                let file = fs::File::options().create(true).append(true).open(&path);
                file.unwrap().set_len(length).unwrap();
                let done = rule(read_files(kind, copy.path(), &kept.plan));
                match before {
                    Some(bytes) => fs::write(&path, bytes).unwrap(),
                    None => fs::remove_file(&path).unwrap(),
                }
                done
            };
            for (name, limit, known) in names {
                let over = match known.contains(&kind) {
                    true => Rule::DocumentSize,
                    false => Rule::DocumentSurplus,
                };
                let at = (way, kind, name);
                assert_eq!(with(name, limit), Some(Rule::DocumentSurplus), "{at:?}");
                assert_eq!(with(name, limit + 1), Some(over), "{at:?}");
            }
            let main = kind.file();
            assert_eq!(with(&main, MAX_DOCUMENT), Some(Rule::DocumentFormat));
            assert_eq!(with(&main, MAX_DOCUMENT + 1), Some(Rule::DocumentSize));
            assert_eq!(with("log.jsonl", MAX_LOG + 1), Some(Rule::DocumentSize));
            let signature = format!("{main}.zoe.sig");
            let large = with(&signature, MAX_SIGNATURE + 1);
            assert_eq!(large, Some(Rule::DocumentSize));
            // A signature is nobody's surplus, and nobody's signature either.
            let whole = with(&signature, MAX_SIGNATURE);
            assert_eq!(whole, Some(Rule::SignatureUnknown), "{kind}");
        }
    }
}

#[test]
fn a_log_that_travels_is_the_listed_one() {
    let kept = Kept::of("single-shot-hgs");
    let folder = kept.folder(Kind::Acceptance);
    let received = read::<Acceptance>(&folder, &kept.plan).unwrap();
    let mut log = fs::read(folder.join("log.jsonl")).unwrap();
    assert_eq!(received.file("log.jsonl"), log);
    let copy = tempfile::tempdir().unwrap();
    for name in received.files.keys().filter(|name| *name != "log.jsonl") {
        fs::copy(folder.join(name), copy.path().join(name)).unwrap();
    }
    let take = || rule(read::<Acceptance>(copy.path(), &kept.plan));
    assert_eq!(take(), Some(Rule::DocumentMissing));
    let path = copy.path().join("log.jsonl");
    fs::write(&path, &log).unwrap();
    assert_eq!(take(), None);
    *log.last_mut().unwrap() ^= 1;
    fs::write(&path, &log).unwrap();
    assert_eq!(take(), Some(Rule::DocumentHash));
    // No log stands in for another file, and a package has none.
    let package = kept.folder(Kind::Package);
    let copy = tempfile::tempdir().unwrap();
    for name in fs::read_dir(&package).unwrap() {
        let name = name.unwrap().file_name();
        fs::copy(package.join(&name), copy.path().join(&name)).unwrap();
    }
    let take = || rule(read::<Package>(copy.path(), &kept.plan));
    assert_eq!(take(), None);
    fs::write(copy.path().join("log.jsonl"), b"").unwrap();
    assert_eq!(take(), Some(Rule::DocumentSurplus));
}

/// What a side's log knows of a document decides whether it is the one that is waited for.
#[test]
fn a_document_is_the_one_that_the_log_waits_for() {
    let kept = Kept::of("single-shot-hgs");
    let folder = kept.folder(Kind::Receipt);
    let receipt = || read::<Receipt>(&folder, &kept.plan).unwrap();
    let (other, header) = (Hash::of(b"another"), receipt().document.header);
    let main = fs::read(folder.join(Kind::Receipt.file())).unwrap();
    assert_eq!(receipt().bytes(), main);
    assert_eq!(receipt().hash, Hash::of(&main));
    assert_eq!(rule(receipt().answering(header.answers.unwrap())), None);
    let refused = rule(receipt().answering(other));
    assert_eq!(refused, Some(Rule::DocumentAnswers));
    assert_eq!(rule(receipt().not_before(header.attempt)), None);
    assert_eq!(rule(receipt().not_before(0)), None);
    let refused = rule(receipt().not_before(header.attempt + 1));
    assert_eq!(refused, Some(Rule::DocumentAttempt));
    let released = || receipt().released(&kept.plan).unwrap();
    assert_eq!(rule(released().being(Hash::of(&main))), None);
    assert_eq!(rule(released().being(other)), Some(Rule::DocumentHash));
}
