//! Every byte of every document, of every file that it lists and of every signature.

use super::*;
use record::{
    Result,
    document::{
        Body, acceptance::Acceptance, closing::Closing, offer::Offer, package::Package, read,
        receipt::Receipt, registration::Registration,
    },
    plan::Plan,
};

fn plan(stage: &Stage) -> Plan {
    Plan::read(&stage.path("plan/ceremony.toml")).unwrap()
}

fn take<B: Body>(folder: &Path, plan: &Plan) -> Result<()> {
    read::<B>(folder, plan)?.released(plan).map(drop)
}

fn take_package(folder: &Path, plan: &Plan) -> Result<()> {
    read::<Package>(folder, plan)?.released(plan)?.verify_keys()
}

/// Changes each byte of each file, cuts and lengthens each file, and takes each away.
fn every_byte(kind: &str, take: fn(&Path, &Plan) -> Result<()>) {
    let stage = Stage::at(Done::TenantClose);
    let (folder, plan) = (stage.path(&format!("medium/{kind}")), plan(&stage));
    take(&folder, &plan).unwrap();
    let main = format!("{kind}.json");
    let mut files = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let whole = fs::read(&path).unwrap();
        let mut changed: Vec<Vec<u8>> = (0..whole.len())
            .map(|at| {
                let mut changed = whole.clone();
                changed[at] ^= 1 << (at % 8);
                changed
            })
            .collect();
        changed.extend([0, 1, whole.len() / 2, whole.len() - 1].map(|cut| whole[..cut].to_vec()));
        changed.extend([[&whole[..], b"\n"].concat(), [&whole[..], &whole].concat()]);
        for (n, bytes) in changed.iter().enumerate() {
            fs::write(&path, bytes).unwrap();
            let error =
                take(&folder, &plan).expect_err(&format!("{name}: change {n} is not noticed"));
            let rule = error.rule().unwrap_or_else(|| panic!("{name}: change {n}: {error}")).name();
            let expected: &[&str] = if name == main {
                &["DOCUMENT-", "SIGNATURE-DOCUMENT"]
            } else if name.ends_with(".hsm-sig") {
                &["PACKAGE-SIGNATURE"]
            } else if name.ends_with(".sig") {
                &["SIGNATURE-"]
            } else {
                &["DOCUMENT-HASH"]
            };
            assert!(
                expected.iter().any(|start| rule.starts_with(start)),
                "{name}: change {n}: {error}"
            );
        }
        fs::remove_file(&path).unwrap();
        let rule = take(&folder, &plan).unwrap_err().rule().unwrap().name();
        let expected =
            if name.ends_with(".sig") { "SIGNATURE-MISSING" } else { "DOCUMENT-MISSING" };
        assert_eq!(rule, expected, "{name}");
        fs::write(&path, whole).unwrap();
        files += 1;
    }
    take(&folder, &plan).unwrap();
    assert!(files >= 3, "{files}");
}

#[test]
fn every_byte_of_an_offer() {
    every_byte("offer", take::<Offer>);
}

#[test]
fn every_byte_of_a_package() {
    every_byte("package", take_package);
}

#[test]
fn every_byte_of_a_receipt() {
    every_byte("receipt", take::<Receipt>);
}

#[test]
fn every_byte_of_a_registration() {
    every_byte("registration", take::<Registration>);
}

#[test]
fn every_byte_of_an_acceptance() {
    every_byte("acceptance", take::<Acceptance>);
}

#[test]
fn every_byte_of_a_closing() {
    every_byte("closing", take::<Closing>);
}

#[test]
fn a_folder_holds_plain_files_of_their_size_and_no_others() {
    use std::os::unix::fs::symlink;
    let stage = Stage::at(Done::PackageRelease);
    let folder = stage.path("medium/package");
    let json = folder.join("package.json");
    let check = ["package", "check", "medium/package"];
    let fifo = |path: &Path| {
        common::run(std::process::Command::new("mkfifo").arg(path));
    };
    let giant = |path: &Path| fs::File::create(path).unwrap().set_len(1 << 40).unwrap();
    for name in [
        "package.json",
        "hgs-signing.sealed",
        "hgs-encryption.crt",
        "package.json.ada.sig",
        "package.json.hgs-signing.hsm-sig",
    ] {
        let path = folder.join(name);
        let aside = stage.path("aside");
        fs::rename(&path, &aside).unwrap();
        symlink(&aside, &path).unwrap();
        refused(&stage, "hoster", &check, "DOCUMENT-LINK");
        fs::remove_file(&path).unwrap();
        fifo(&path);
        refused(&stage, "hoster", &check, "DOCUMENT-LINK");
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        refused(&stage, "hoster", &check, "DOCUMENT-LINK");
        fs::remove_dir(&path).unwrap();
        giant(&path);
        refused(&stage, "hoster", &check, "DOCUMENT-SIZE");
        fs::remove_file(&path).unwrap();
        let rule = if name.ends_with(".sig") { "SIGNATURE-MISSING" } else { "DOCUMENT-MISSING" };
        refused(&stage, "hoster", &check, rule);
        fs::rename(&aside, &path).unwrap();
        let middle = fs::read(&path).unwrap().len() / 2;
        flip(&path, middle);
        let end = stage.hoster(&check);
        assert_eq!(end.code, 3, "{}", end.err);
        flip(&path, middle);
    }
    for surplus in [
        "note.txt",
        ".hidden",
        "package.json.bak",
        "other.sealed",
        "hgs-signing.sealed ",
        "log.jsonl",
        "evil\u{1b}[2J",
    ] {
        fs::copy(&json, folder.join(surplus)).unwrap();
        let text = refused(&stage, "hoster", &check, "DOCUMENT-SURPLUS");
        assert!(!text.contains('\u{1b}'), "{text}");
        fs::remove_file(folder.join(surplus)).unwrap();
    }
    fs::create_dir(folder.join("folder")).unwrap();
    refused(&stage, "hoster", &check, "DOCUMENT-SURPLUS");
    fs::remove_dir(folder.join("folder")).unwrap();
    fs::copy(&json, folder.join("package.json.zoe.sig")).unwrap();
    refused(&stage, "hoster", &check, "SIGNATURE-UNKNOWN");
    fs::remove_file(folder.join("package.json.zoe.sig")).unwrap();
    stage.hoster(&check).ok();

    // What was taken is looked at again before it is used, in the folder and where it is kept.
    let shares = stage.shares(&["cyd", "dan", "eve"]);
    let import = [vec!["import", "medium/package"], strings(&shares)].concat();
    stage.pass("hoster", "import", &["import", "medium/package"]);
    for (file, rule) in [
        ("medium/package/hgs-signing.sealed", "DOCUMENT-HASH"),
        ("hoster/outbox/offer/offer.json", "DOCUMENT-FORMAT"),
    ] {
        flip(&stage.path(file), 0);
        refused(&stage, "hoster", &import, rule);
        flip(&stage.path(file), 0);
    }
    stage.hoster(&import).ok();
}

/// A name that is no UTF-8 is nobody's, whatever it begins or ends with.
#[test]
fn a_file_whose_name_is_no_text_is_surplus() {
    use std::os::unix::ffi::OsStrExt;
    let stage = Stage::at(Done::PackageRelease);
    for name in [&b"hgs\xff.sealed"[..], b"\xffpackage.json", b"\xff"] {
        let path = stage.path("medium/package").join(std::ffi::OsStr::from_bytes(name));
        fs::write(&path, "surplus").unwrap();
        stage.hoster(&["package", "check", "medium/package"]).refused("DOCUMENT-SURPLUS");
        fs::remove_file(path).unwrap();
    }
    stage.hoster(&["package", "check", "medium/package"]).ok();
}
