//! Another attempt, the end of a ceremony, and the plan that supersedes one.

use super::*;

/// The number of objects in the tokens of a stage: SoftHSM keeps each in a file of its own.
pub fn objects(stage: &Stage) -> usize {
    let tokens = fs::read_dir(stage.path("tokens")).unwrap();
    let files = tokens.flat_map(|token| fs::read_dir(token.unwrap().path()).unwrap());
    let names = files.map(|file| file.unwrap().file_name().to_string_lossy().into_owned());
    names.filter(|name| name.ends_with(".object") && name != "token.object").count()
}

#[test]
fn both_sides_begin_again_with_a_new_kek_and_new_shares() {
    let mut stage = Stage::at(Done::PackageCheck);
    let old = stage.kek_words();
    copy(&stage.path("medium"), &stage.path("old"));
    copy(&stage.path("tenant/outbox/shares"), &stage.path("old-shares"));
    let said = stage.restart("hoster");
    assert!(said.contains("destroyed:    the KEK"), "{said}");
    stage.restart("tenant");
    stage.done = Some(Done::Init);
    stage.walk_to(Done::OfferRelease);
    assert_eq!(stage.json("medium/offer/offer.json")["header"]["attempt"], 2);
    assert_ne!(stage.kek_words(), old);
    // The offer that was taken is not taken twice, nor is the older one after the newer.
    let words = stage.words("old", &old);
    let check = ["offer", "check", "old/offer", "--words", &words];
    let text = stage.tenant(&check).refused("PHASE-ORDER");
    assert!(text.contains("taken already"), "{text}");
    stage.walk_to(Done::OfferCheck);
    let text = stage.tenant(&check).refused("DOCUMENT-ATTEMPT");
    assert!(text.contains("attempt 3 or later"), "{text}");
    stage.walk_to(Done::KekTrust);
    // The keys are there and stay the same.
    let keys = events(&stage, "tenant", "keys-create");
    assert_eq!(keys.len(), 1);
    stage.done = Some(Done::KeysCreate);
    stage.walk_to(Done::PackageRelease);
    assert_eq!(stage.json("medium/package/package.json")["header"]["attempt"], 2);
    stage.hoster(&["package", "check", "old/package"]).refused("DOCUMENT-ATTEMPT");
    stage.walk_to(Done::PackageCheck);
    let import = ["import", "medium/package"];
    stage.pass("hoster", "import", &import);
    let old_share = ["--share", "old-shares/cyd.age", "--identity", "people/cyd.identity"];
    stage.hoster(&[&import[..], &old_share].concat()).refused("SHARE-FILE");
    stage.walk_to(Done::TenantClose);
    let verdict = audited(&stage);
    let begins = |side: &str| {
        let said = format!("{side}, entry ");
        (verdict.noted.iter())
            .any(|line| line.starts_with(&said) && line.contains("attempt 2 begins"))
    };
    assert!(begins("tenant") && begins("hoster"), "{:?}", verdict.noted);
    // What was given up stays in the record.
    for side in ["tenant", "hoster"] {
        for kind in ["offer", "package"] {
            let kept = format!("{side}/archive/attempt-1/{kind}/{kind}.json");
            assert_eq!(stage.json(&kept)["header"]["attempt"], 1);
        }
        verify::verify(&[stage.path(side).join("archive")], &Against::default()).unwrap();
    }
    // Whose signature over it is spoilt is refused by its path: several documents have one of hers.
    for (side, kind, id) in [("hoster", "offer", "hana"), ("tenant", "package", "ada")] {
        let place = format!("{side}/outbox/attempt-1/{kind}/{kind}.json.{id}.sig");
        let path = stage.path(&place);
        let mut bytes = fs::read(&path).unwrap();
        bytes[100] ^= 1;
        fs::write(&path, bytes).unwrap();
        let said = stage.auditor(&["verify", side]);
        assert_eq!(said.code, 3, "{said:?}");
        assert!(said.err.contains("SIGNATURE-") && said.err.contains(&place), "{}", said.err);
    }
}

#[test]
fn a_new_export_alone_replaces_the_package_that_was_taken() {
    let mut stage = Stage::at(Done::PackageCheck);
    stage.restart("tenant");
    stage.done = Some(Done::OfferCheck);
    // In single-shot the KEK is trusted anew; keys and offer stay.
    stage.walk_to(Done::KekTrust);
    stage.done = Some(Done::KeysCreate);
    stage.walk_to(Done::TenantClose);
    let imports = events(&stage, "hoster", "package-check");
    assert_eq!(imports.len(), 2);
    assert_eq!((&imports[0]["attempt"], &imports[1]["attempt"]), (&1.into(), &2.into()));
    audited(&stage);
    // And the taken one cannot be put back.
    let kept = stage.json("hoster/archive/attempt-1/package/package.json");
    assert_eq!(kept["header"]["attempt"], 1);
}

#[test]
fn a_restart_after_the_import_takes_the_imported_keys_away() {
    let before = objects(&Stage::at(Done::Init));
    let mut stage = Stage::at(Done::Import);
    let tenants = 2 * 3;
    assert!(objects(&stage) > before + tenants);
    let said = stage.restart("hoster");
    assert!(
        said.contains("the KEK, the imported key hgs-signing, the imported key hgs-encryption"),
        "{said}"
    );
    assert_eq!(objects(&stage), before + tenants);
    stage.restart("tenant");
    stage.done = Some(Done::Init);
    stage.walk_to(Done::KekTrust);
    stage.done = Some(Done::KeysCreate);
    stage.walk_to(Done::TenantClose);
    audited(&stage);
    // Once a receipt has left, there is no way back.
    let stage = Stage::at(Done::ReceiptRelease);
    stage.hoster(&["restart", "--reason", "late"]).refused("PHASE-ORDER");
}

#[test]
fn a_killed_restart_goes_on_without_new_signatures() {
    let mut stage = Stage::at(Done::PackageCheck);
    let restart = ["restart", "--reason", "a test"];
    stage.pass("hoster", "restart", &restart);
    stage.hoster(&restart).ok();
    // As if killed between the HSM and the result: the last line is gone, and so is the move of the
    // documents.
    let path = stage.path("hoster/log.jsonl");
    let text = fs::read_to_string(&path).unwrap();
    let cut = text.trim_end().rfind('\n').unwrap() + 1;
    assert!(text[cut..].contains("\"event\":\"restart\""));
    fs::write(&path, &text[..cut]).unwrap();
    for (folder, kind) in [("outbox", "offer"), ("inbox", "package")] {
        let folder = stage.path(&format!("hoster/{folder}"));
        fs::rename(folder.join("attempt-1").join(kind), folder.join(kind)).unwrap();
    }
    let said = stage.hoster(&restart).ok();
    assert!(said.contains("destroyed:    nothing"), "{said}");
    stage.done = Some(Done::Init);
    stage.walk_to(Done::OfferRelease);
}

#[test]
fn an_aborted_ceremony_ends_whole_and_another_plan_supersedes_it() {
    let before = objects(&Stage::at(Done::Init));
    let mut stage = Stage::at(Done::Import);
    let said = stage.abort("hoster");
    assert!(said.contains("the KEK, the imported key hgs-signing"), "{said}");
    // Final: nothing but the end of the KEK and of the record.
    for command in [vec!["release"], vec!["register"], vec!["restart", "--reason", "a"]] {
        stage.hoster(&command).refused("PHASE-ORDER");
    }
    stage.hoster(&["close"]).refused("LOG-EVENT");
    stage.hoster(&["kek", "destroy", "medium/offer"]).ended_with(2);
    stage.pass("hoster", "kek-destroy", &["kek", "destroy"]);
    let request = stage.json("hoster/approvals/01-kek-destroy.json");
    assert_eq!(request["subject"]["keys"].as_array().unwrap().len(), 2);
    stage.hoster(&["kek", "destroy"]).ok();
    // Left are the tenant's two keys with their certificates.
    assert_eq!(objects(&stage), before + 2 * 3);
    stage.close_hoster();
    // The tenant must say so too before it takes the closing.
    stage.tenant(&["close", "medium/closing"]).refused("PHASE-ORDER");
    stage.abort("tenant");
    stage.tenant(&["close", "medium/closing"]).ok();
    let verdict = audited(&stage);
    assert!(verdict.noted.iter().any(|line| line.contains("ABORTED")), "{:?}", verdict.noted);
    superseded(&mut stage);
}

/// The same keys cross under a plan that names the aborted one.
fn superseded(stage: &mut Stage) {
    for side in ["tenant", "hoster"] {
        fs::rename(stage.path(side), stage.path(&format!("aborted-{side}"))).unwrap();
    }
    fs::rename(stage.path("medium"), stage.path("old-medium")).unwrap();
    fs::create_dir(stage.path("medium")).unwrap();
    let plan = stage.path("plan/ceremony.toml");
    let text = fs::read_to_string(&plan).unwrap();
    let former = record::encoding::Hash::of(text.as_bytes());
    let line = format!("\nsupersedes = \"{former}\"\n");
    fs::remove_dir_all(stage.path("plan")).unwrap();
    fs::create_dir(stage.path("plan")).unwrap();
    fs::write(&plan, text.replacen('\n', &line, 1)).unwrap();
    for id in ["ada", "ben", "hana", "hugo"] {
        stage.sign(&plan, "keyferry-plan", id);
    }
    let other = Stage::another(Done::Init);
    let words = stage.words("plan", &stage.plan_words());
    let init = |folder: &str| {
        let init = ["init", "plan/ceremony.toml", "--words", &words, "--superseded", folder];
        stage.tenant(&init)
    };
    init(other.path("tenant").to_str().unwrap()).refused("ABORT-SUPERSEDED");
    let said = init("aborted-tenant/archive").ok();
    assert!(said.contains("seen to be aborted"), "{said}");
    let shown = ["init", "plan/ceremony.toml", "--words", &words, "--superseded", "aborted-hoster"];
    stage.hoster(&shown).ok();
    stage.done = Some(Done::Init);
    stage.walk_to(Done::KekTrust);
    let mut keys = vec!["keys".to_owned(), "create".into()];
    for label in ["hgs-signing", "hgs-encryption"] {
        keys.push("--existing".into());
        keys.push(format!("{label}=aborted-tenant/keys/{label}.crt"));
    }
    stage.tenant(&keys.iter().map(String::as_str).collect::<Vec<_>>()).ok();
    stage.done = Some(Done::KeysCreate);
    stage.walk_to(Done::TenantClose);
    let spki = |folder: &str| {
        let package = stage.json(&format!("{folder}/package/package.json"));
        package["body"]["keys"][0]["spki"].clone()
    };
    assert_eq!(spki("medium"), spki("old-medium"));
    audited(stage);
}

#[test]
fn a_side_gives_up_before_and_after_the_other() {
    // Nothing was made: there is nothing to destroy, and the record can be closed at once.
    let stage = Stage::at(Done::Init);
    for side in ["tenant", "hoster"] {
        let said = stage.abort(side);
        assert!(said.contains("nothing of this ceremony is left in it"), "{said}");
        stage.side(side, &["close"]).ok();
        let archive = verify::verify(&[stage.path(side).join("archive")], &Against::default());
        assert!(archive.unwrap().aborted);
    }
    audited(&stage);
    // The HSM is broken: nobody looks, and the record says so.
    let stage = Stage::at(Done::KekCreate);
    fs::remove_dir_all(stage.path("tokens")).unwrap();
    let blind = ["abort", "--reason", "the HSM burnt", "--without-hsm"];
    stage.pass("hoster", "abort", &blind);
    let said = stage.hoster(&blind).ok();
    assert!(said.contains("not looked for"), "{said}");
}
