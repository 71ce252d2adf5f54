//! Keys that lay on a token before, and keys that somebody put there meanwhile.

use super::{
    common::{
        elsewhere::{Elsewhere, wrapped},
        stage::Family,
    },
    plant::plant,
    *,
};
use record::plan::Plan;

#[test]
fn an_existing_key_must_be_one_that_may_travel() {
    for (kind, rule) in [
        ("fixed", "TARGET-EXTRACTABLE"),
        ("readable", "TARGET-SENSITIVE"),
        ("larger", "TARGET-KEY"),
        ("twice", "TARGET-AMBIGUOUS"),
    ] {
        let stage = untrusted();
        plant(&stage, "tenant", &format!("key {kind}"));
        refused(&stage, "tenant", &["keys", "create", "--existing", "hgs-signing=key.der"], rule);
        // Without it, the plan's keys are made beside it.
        stage.tenant(&["keys", "create"]).ok();
    }
}

#[test]
fn an_existing_key_is_found_by_its_public_half_and_by_its_certificate() {
    let stage = untrusted();
    let elsewhere = untrusted();
    plant(&stage, "tenant", "key good");
    plant(&elsewhere, "tenant", "key good");
    fs::copy(elsewhere.path("key.der"), stage.path("other.der")).unwrap();
    for (file, rule) in [("other.der", "TARGET-MISSING"), ("pin", "TARGET-CERTIFICATE")] {
        let existing = format!("hgs-signing={file}");
        refused(&stage, "tenant", &["keys", "create", "--existing", &existing], rule);
    }
    stage.tenant(&["keys", "create", "--existing", "nobody=key.der"]).ended_with(2);
    let by_key = stage.copy();
    let found = by_key.tenant(&["keys", "create", "--existing", "hgs-signing=key.der"]).ok();
    let spki = Hash::of(&fs::read(stage.path("key.der")).unwrap()).to_string();
    assert!(found.contains(&format!("found, SPKI SHA-256 {spki}")), "{found}");
    assert!(found.contains("made, SPKI"), "{found}");
    // The certificate that was made for it names it as well.
    fs::copy(by_key.path("tenant/keys/hgs-signing.crt"), stage.path("signing.crt")).unwrap();
    let again = stage.tenant(&["keys", "create", "--existing", "hgs-signing=signing.crt"]).ok();
    assert!(again.contains(&spki), "{again}");
    // Both go on from there.
    let mut by_key = by_key;
    by_key.done = Some(Done::KeysCreate);
    by_key.walk_to(Done::Export);
    stage.pass("tenant", "export", &["export"]);
    stage.tenant(&["export"]).ok();
}

/// The certificate of the key in `key.der` that an authority has issued, DER; and one that has
/// ended, by the same.
fn issued(stage: &Stage, days: &str) -> Vec<u8> {
    let openssl = |arguments: &[&str]| {
        let mut command = std::process::Command::new("openssl");
        common::run(command.args(arguments).current_dir(stage.path("")))
    };
    openssl(&[
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-keyout",
        "ca.key",
        "-out",
        "ca.pem",
        "-subj",
        "/CN=the CA",
    ]);
    let public = openssl(&["pkey", "-pubin", "-inform", "DER", "-in", "key.der"]);
    fs::write(stage.path("key.pem"), public).unwrap();
    openssl(&[
        "x509",
        "-new",
        "-force_pubkey",
        "key.pem",
        "-subj",
        "/CN=hgs",
        "-days",
        days,
        "-CA",
        "ca.pem",
        "-CAkey",
        "ca.key",
        "-outform",
        "DER",
    ])
}

#[test]
fn an_authoritys_certificate_is_left_alone_and_does_not_travel() {
    let stage = untrusted();
    plant(&stage, "tenant", "key good");
    let ca = issued(&stage, "30");
    fs::write(stage.path("issued.der"), &ca).unwrap();
    let existing = |file: &str| {
        ["keys", "create", "--existing"]
            .map(str::to_owned)
            .into_iter()
            .chain([format!("hgs-signing={file}")])
            .collect::<Vec<_>>()
    };
    let said = refused(&stage, "tenant", &strings(&existing("issued.der")), "TARGET-CERTIFICATE");
    assert!(said.contains("issued by CN=the CA"), "{said}");
    assert!(said.contains("openssl x509 -in issued.der -pubkey -noout"), "{said}");
    // Two of them lie beside the key, as after a renewal: its own is made and lies beside them.
    fs::write(stage.path("renewed.der"), issued(&stage, "60")).unwrap();
    for file in ["issued.der", "renewed.der"] {
        plant(&stage, "tenant", &format!("certificate {file}"));
    }
    let objects = Before::of(&stage, "tenant").objects;
    // The public key, as a shell of Windows writes it.
    let pem = fs::read_to_string(stage.path("key.pem")).unwrap().replace('\n', "\r\n");
    let utf16 = std::iter::once(0xfeff).chain(pem.encode_utf16()).flat_map(u16::to_le_bytes);
    fs::write(stage.path("public.txt"), utf16.collect::<Vec<u8>>()).unwrap();
    stage.tenant(&strings(&existing("public.txt"))).ok();
    let own = fs::read(stage.path("tenant/keys/hgs-signing.crt")).unwrap();
    let spki = record::spki::own_key(&own).unwrap();
    assert_eq!(spki, fs::read(stage.path("key.der")).unwrap());
    // Beside those two: this one, and a pair with its certificate for the other label.
    assert_eq!(Before::of(&stage, "tenant").objects, objects + 4);
    stage.pass("tenant", "export", &["export"]);
    stage.tenant(&["export"]).ok();
}

#[test]
fn a_certificate_that_is_given_must_serve() {
    let stage = untrusted();
    let openssl = |arguments: &[&str]| {
        let mut command = std::process::Command::new("openssl");
        common::run(command.args(arguments).current_dir(stage.path("")))
    };
    let base = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "own.key", "-out"];
    let subject = ["-subj", "/CN=own", "-days"];
    let cases: [(&str, &str, &[&str], &str); 3] = [
        ("short", "6", &[], "the ceremony is from now"),
        (
            "signs",
            "30",
            &["-addext", "keyUsage=keyCertSign"],
            "a key usage without digitalSignature",
        ),
        ("sha1", "30", &["-sha1"], "not signed by its own key"),
    ];
    for (name, days, more, expected) in cases {
        openssl(&[&base[..], &[name], &subject, &[days], more].concat());
        let existing = format!("hgs-signing={name}");
        let said = refused(
            &stage,
            "tenant",
            &["keys", "create", "--existing", &existing],
            "TARGET-CERTIFICATE",
        );
        assert!(said.contains(expected), "{said}");
    }
}

#[test]
fn one_key_is_not_two() {
    let stage = untrusted();
    plant(&stage, "tenant", "key good");
    let twice = ["--existing", "hgs-signing=key.der", "--existing", "hgs-encryption=key.der"];
    let said =
        refused(&stage, "tenant", &[&["keys", "create"], &twice[..]].concat(), "TARGET-REPEATED");
    assert!(said.contains("for hgs-signing and for hgs-encryption"), "{said}");
}

#[test]
fn a_key_that_any_kek_may_wrap_needs_a_waiver() {
    let stage = Stage::at(Done::KekTrust);
    plant(&stage, "tenant", "key good");
    let existing = ["keys", "create", "--existing", "hgs-signing=key.der"];
    refused(&stage, "tenant", &existing, "TARGET-WRAP-WITH-TRUSTED");
    stage.tenant(&["keys", "create"]).ok();
}

#[test]
fn the_kek_is_trusted_by_the_security_officer_alone_and_before_the_keys_are_made() {
    let stage = Stage::at(Done::OfferCheck);
    let rule = "TARGET-WRAP-WITH-TRUSTED";
    refused(&stage, "tenant", &["keys", "create"], rule);
    // The user's PIN is not the security officer's.
    let trust = |pin| stage.tenant(&["kek", "trust", "--so-pin-file", pin]);
    trust("pin").ended_with(5);
    trust("so-pin").ok();
    stage.tenant(&["keys", "create"]).ok();
    // Without the trusted half nothing is exported; it can be made again, and then is.
    stage.pass("tenant", "export", &["export"]);
    plant(&stage, "tenant", "trusted gone");
    refused(&stage, "tenant", &["export"], rule);
    trust("so-pin").ok();
    let said = stage.tenant(&["export"]).ok();
    assert!(!said.contains("still be on the token"), "{said}");
    let log = fs::read_to_string(stage.path("tenant/log.jsonl")).unwrap();
    assert!(log.lines().last().unwrap().contains("\"event\":\"kek-untrust\""));
    // A log that does not say so is one of a token that may still trust it.
    let cut = stage.copy();
    let whole = log.rsplitn(3, '\n').nth(2).unwrap();
    fs::write(cut.path("tenant/log.jsonl"), format!("{whole}\n")).unwrap();
    let status = cut.tenant(&["status"]).ok();
    assert!(status.contains("may still be on the token"), "{status}");
    assert!(!stage.tenant(&["status"]).ok().contains("may still be"));
    assert_eq!(plant(&stage, "tenant", "trusted count"), "0");
    // A plan that goes without it has no such step.
    let stage = untrusted();
    let trust = ["kek", "trust", "--so-pin-file", "so-pin"];
    refused(&stage, "tenant", &trust, "PHASE-ORDER");
}

#[test]
fn a_foreign_key_with_the_label_is_not_taken_for_ours() {
    let stage = untrusted();
    plant(&stage, "tenant", "key labelled hgs-signing");
    let before = Before::of(&stage, "tenant");
    let text = stage.tenant(&["keys", "create"]).refused("TARGET-EXISTS");
    assert!(text.contains("hgs-signing"), "{text}");
    let after = Before::of(&stage, "tenant");
    assert_eq!((after.files, after.objects), (before.files, before.objects));
    let added = after.log.strip_prefix(&before.log).unwrap();
    assert!(
        added.lines().count() == 2
            && added.contains("\"event\":\"intent\"")
            && added.contains("TARGET-EXISTS"),
        "{added}"
    );
    stage.tenant(&["keys", "create", "--existing", "hgs-signing=key.der"]).ok();
}

#[test]
fn no_key_is_born_beside_a_foreign_one_with_its_label() {
    let stage = Stage::of(Setting::born(), Done::Init);
    let plan = Plan::read(&stage.path("hoster/ceremony.toml")).unwrap();
    // The last: those before it are made, and found again.
    let label = plan.hoster_label(plan.keys.last().unwrap().label.as_str());
    plant(&stage, "hoster", &format!("key labelled {label}"));
    let before = Before::of(&stage, "hoster");
    let create = ["keys", "create"];
    let text = stage.hoster(&create).refused("TARGET-EXISTS");
    assert!(text.contains(&label), "{text}");
    let after = Before::of(&stage, "hoster");
    assert_eq!(after.files, before.files);
    let made = 3 * (plan.keys.len() - 1);
    assert_eq!(after.objects, before.objects + made);
    plant(&stage, "hoster", &format!("gone {label}"));
    stage.hoster(&create).ok();
    let after = Before::of(&stage, "hoster");
    assert_eq!(after.objects, before.objects - 2 + made + 3);
}

#[test]
fn a_kek_that_is_not_the_one_offered_opens_nothing() {
    for (kind, rule) in [
        ("decrypt", "KEK-DECRYPT"),
        ("sign", "KEK-SIGN"),
        ("extractable", "KEK-EXTRACTABLE"),
        ("mechanisms", "KEK-ALLOWED-MECHANISMS"),
        ("gone", "KEK-KEY"),
    ] {
        let stage = Stage::at(Done::PackageCheck);
        stage.pass("hoster", "import", &["import", "medium/package"]);
        plant(&stage, "hoster", &format!("kek {kind}"));
        let shares = stage.shares(&["cyd", "dan", "eve"]);
        let import = [vec!["import", "medium/package"], strings(&shares)].concat();
        refused(&stage, "hoster", &import, rule);
    }
}

/// A private key that an unwrap left without a name, where it was cut off, is found by its public
/// half and said; nothing destroys what nothing names.
#[test]
fn a_key_that_an_unwrap_left_without_a_name_is_said() {
    let stage = Stage::at(Done::PackageCheck);
    plant(&stage, "hoster", "nameless tenant/keys/hgs-signing.crt");
    let left = "a private key without CKA_ID that is hgs-signing";
    let restarted = stage.copy().restart("hoster");
    assert!(restarted.contains(left), "{restarted}");
    let aborted = stage.copy();
    let abort = ["abort", "--reason", "a test"];
    aborted.pass("hoster", "abort", &abort);
    let said = aborted.hoster(&abort).ok();
    assert!(said.contains(left), "{said}");
    let log = fs::read_to_string(aborted.path("hoster/log.jsonl")).unwrap();
    assert!(log.contains(left), "{log}");
    stage.pass("hoster", "import", &["import", "medium/package"]);
    let import =
        [vec!["import".into(), "medium/package".into()], stage.shares(&["cyd", "dan", "eve"])];
    let said = stage.hoster(&strings(&import.concat())).ok();
    assert!(said.contains(left) && !said.contains("hgs-encryption, left"), "{said}");
}

/// So is one of a key that another tool has wrapped: at the import, at a restart and at an abort, in
/// both languages.
#[test]
fn a_brought_key_that_an_unwrap_left_without_a_name_is_said() {
    let elsewhere = Elsewhere::new();
    let stage = wrapped(Family::SoftHsm, &elsewhere);
    let certificate = elsewhere.path("hgs-signing.crt");
    plant(&stage, "hoster", &format!("nameless {}", certificate.display()));
    let import = elsewhere.import();
    let import = strings(&import);
    stage.pass("hoster", "import", &import);
    let said_of = |stage: &Stage, arguments: &[&str]| {
        [
            ("en", "a private key without CKA_ID that is hgs-signing"),
            ("de", "ein privater Schlüssel ohne CKA_ID"),
        ]
        .map(|(language, left)| {
            let stage = stage.copy();
            let said = stage.hoster(&[arguments, &["--language", language]].concat()).ok();
            assert!(said.contains(left) && !said.contains("hgs-encryption, left"), "{said}");
            stage
        })
    };
    let [stage, _] = said_of(&stage, &import);
    for gate in ["restart", "abort"] {
        let stage = stage.copy();
        let end = [gate, "--reason", "a test"];
        stage.pass("hoster", gate, &end);
        let [stage, _] = said_of(&stage, &end);
        let log = fs::read_to_string(stage.path("hoster/log.jsonl")).unwrap();
        assert_eq!(log.contains("without CKA_ID that is hgs-signing"), gate == "abort", "{log}");
    }
}
