//! Keys that another tool has wrapped: here OpenSSL, for the KEK of a ceremony. The hoster imports
//! them, shows them to the tenant, and from there it goes as with every key.

use std::fs;

use crate::common::{
    elsewhere::{self, Elsewhere, wrapped},
    stage::{Family, Stage},
};
use record::verify::{self, Against};

fn strs(arguments: &[String]) -> Vec<&str> {
    arguments.iter().map(String::as_str).collect()
}

/// To its end, where both verifiers hold it.
fn to_the_end(mut stage: Stage) {
    elsewhere::to_the_end(&mut stage, &mut |_| {});
    stage.verdict();
}

#[test]
fn what_openssl_has_wrapped_becomes_primary() {
    for family in Family::ALL {
        let elsewhere = Elsewhere::new();
        let stage = wrapped(family, &elsewhere);
        let import = elsewhere.import();
        let import = strs(&import);
        stage.hoster(&import).ended_with(6);
        stage.approve("hoster", "import", &["hugo"]);
        stage.hoster(&import).ended_with(6);
        stage.approve("hoster", "import", &["hedy"]);
        stage.hoster(&import).ok();
        // Run again it is done, with the same files; with others its time is over.
        let log = fs::read(stage.path("hoster/log.jsonl")).unwrap();
        let said = stage.hoster(&import).ok();
        assert!(said.contains("This is done already"), "{said}");
        assert_eq!(fs::read(stage.path("hoster/log.jsonl")).unwrap(), log);
        for end in ["wrapped", "crt"] {
            let [one, other] = elsewhere::LABELS.map(|label| format!("{label}.{end}"));
            let mixed: Vec<String> =
                import.iter().map(|given| given.replace(&one, &other)).collect();
            stage.hoster(&strs(&mixed)).refused("PHASE-ORDER");
        }
        to_the_end(stage);
    }
}

/// As Windows exports it: a key with the attribute of its key usage, and certificates in PEM.
#[test]
fn a_key_with_attributes_and_a_certificate_in_pem_are_taken() {
    let mut elsewhere = Elsewhere::new();
    elsewhere.attributes =
        [&[0xa0, 13, 0x30, 11, 6, 3, 0x55, 0x1d, 15][..], &[0x31, 4, 3, 2, 0, 0x10]].concat();
    for label in elsewhere::LABELS {
        let der = fs::read(elsewhere.path(&format!("{label}.crt"))).unwrap();
        let certificate = format!("{label}.crt");
        let pem = elsewhere.openssl(&["x509", "-inform", "DER", "-in", &certificate]);
        let pem = String::from_utf8(pem).unwrap().replace('\n', "\r\n");
        fs::write(elsewhere.path(&certificate), format!("\u{feff}{pem}\r\n")).unwrap();
        fs::write(elsewhere.path(&format!("{label}.der")), der).unwrap();
    }
    let stage = wrapped(Family::SoftHsm, &elsewhere);
    let import = elsewhere.import();
    stage.pass("hoster", "import", &strs(&import));
    // They end in a year, which is said, and no reason to refuse them.
    let said = stage.hoster(&strs(&import)).ok();
    assert_eq!(said.matches("the certificate that was given ends at ").count(), 2, "{said}");
    for label in elsewhere::LABELS {
        let kept = fs::read(stage.path(&format!("hoster/outbox/keys/{label}.crt"))).unwrap();
        assert_eq!(kept, fs::read(elsewhere.path(&format!("{label}.der"))).unwrap());
    }
    to_the_end(stage);
}

#[test]
fn what_is_not_the_planned_key_is_refused_and_leaves_nothing() {
    let elsewhere = Elsewhere::new();
    let stage = wrapped(Family::SoftHsm, &elsewhere);
    let import = elsewhere.import();
    // Next year's plan says that its keys are still to be named.
    let (plan, next) = (stage.path("plan/ceremony.toml"), stage.path("next.toml"));
    authoring::renew_plan(&plan, &next).unwrap();
    let next = fs::read_to_string(next).unwrap();
    let (header, _) = next.split_once("\n\n").unwrap();
    assert!(header.contains("each spki still names last year's key"), "{header}");
    // Files that are missing, or for no label of the plan.
    stage.hoster(&strs(&import[..7])).ended_with(2);
    let odd = [&import[..], &["--wrapped".into(), "odd=pin".into()]].concat();
    stage.hoster(&strs(&odd)).ended_with(2);
    // Another key, by its certificate.
    let other = Elsewhere::new();
    let swapped: Vec<String> = import
        .iter()
        .map(|one| match one.ends_with("hgs-signing.crt") {
            true => format!("hgs-signing={}", other.path("hgs-signing.crt").display()),
            false => one.clone(),
        })
        .collect();
    let said = stage.hoster(&strs(&swapped)).refused("TARGET-CERTIFICATE");
    assert!(said.contains(&elsewhere.spki()[0]), "{said}");
    // The right certificate, another key inside.
    let offer = stage.json("medium/offer/offer.json");
    let kek = offer["body"]["spki"].as_str().unwrap();
    let kek = data_encoding::BASE64.decode(kek.as_bytes()).unwrap();
    let honest = fs::read(elsewhere.path("hgs-signing.wrapped")).unwrap();
    let planted = fs::read(other.wrap("hgs-signing", &kek, "sha1")).unwrap();
    fs::write(elsewhere.path("hgs-signing.wrapped"), &planted).unwrap();
    stage.pass("hoster", "import", &strs(&import));
    stage.hoster(&strs(&import)).refused("TARGET-MODULUS");
    // Exchanged after the signatures; cut; of another hash than the KEK takes.
    fs::write(elsewhere.path("hgs-signing.wrapped"), &honest).unwrap();
    stage.hoster(&strs(&import)).ended_with(6);
    fs::write(elsewhere.path("hgs-signing.wrapped"), &honest[..honest.len() - 8]).unwrap();
    let cut = stage.hoster(&strs(&import));
    assert!([3, 6].contains(&cut.code), "{}", cut.err);
    elsewhere.wrap("hgs-signing", &kek, "sha256");
    stage.pass("hoster", "import", &strs(&import));
    stage.hoster(&strs(&import)).ended_with(5);
    // And then the right one, with new signatures.
    fs::write(elsewhere.path("hgs-signing.wrapped"), &honest).unwrap();
    stage.hoster(&strs(&import)).ended_with(6);
    let request = stage.path("hoster/approvals/02-import.json");
    for id in ["hana", "hedy"] {
        stage.sign(&request, "keyferry-approval", id);
    }
    stage.hoster(&strs(&import)).ok();
    to_the_end(stage);
}

#[test]
fn both_sides_begin_again_and_an_abort_takes_what_was_brought() {
    let elsewhere = Elsewhere::new();
    let stage = wrapped(Family::SoftHsm, &elsewhere);
    let import = elsewhere.import();
    stage.pass("hoster", "import", &strs(&import));
    stage.hoster(&strs(&import)).ok();
    let restart = ["restart", "--reason", "a test"];
    stage.pass("hoster", "restart", &restart);
    let said = stage.hoster(&restart).ok();
    assert!(said.contains("the KEK, the imported key hgs-signing"), "{said}");
    stage.hoster(&["kek", "create"]).ok();
    stage.sign_document("hoster", "offer", &["hana", "hugo"]);
    stage.hoster(&["release"]).ok();
    stage.carry("hoster", "offer");
    let words = stage.words("kek", &stage.kek_words());
    stage.tenant(&["offer", "check", "medium/offer", "--words", &words]).ok();
    let abort = ["abort", "--reason", "a test"];
    for side in ["hoster", "tenant"] {
        stage.pass(side, "abort", &abort);
        stage.side(side, &abort).ok();
    }
    stage.pass("hoster", "kek-destroy", &["kek", "destroy"]);
    stage.hoster(&["kek", "destroy"]).ok();
    stage.sign_document("hoster", "closing", &["hana", "hugo"]);
    stage.hoster(&["release"]).ok();
    stage.carry("hoster", "closing");
    stage.hoster(&["close"]).ok();
    stage.tenant(&["close", "medium/closing"]).ok();
    stage.sign_heads();
    let folders = ["tenant", "hoster"].map(|side| stage.path(side));
    let verdict = verify::verify(&folders, &Against::default()).unwrap();
    assert!(verdict.aborted && verdict.missing.is_empty(), "{verdict:?}");
}
