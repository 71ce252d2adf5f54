//! What an HSM's vendor says of a key, by a PKI that OpenSSL makes: good chains and bad ones, each
//! with its level or its rule, at the hoster, at the tenant, and at the auditor. No real device was
//! ever asked.

mod pki;

use std::{fs, path::Path, process::Command};

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::common::{
    run,
    stage::{Done, Setting, Stage, ended},
};
use pki::{CAPABILITIES, Leaf, ORIGIN, Pki, bits, born};
use record::{
    attestation::{Purpose, judge},
    encoding::Hash,
    rule::Rule,
    terms::{AttestationLevel, Usage},
};

/// sign-pkcs and sign-pss; decrypt-oaep; exportable-under-wrap.
const SIGNS: u64 = 0x60;
const DECRYPTS: u64 = 0x400;
const EXPORTABLE: u64 = 0x1_0000;

fn pinned(plan: String, pki: &Pki, evidence: &str) -> String {
    let transfer =
        format!("[transfer]\nevidence = \"{evidence}\"\nroots = [\"{}\"]\n", pki.pin("root"));
    plan.replace("[transfer]\n", &transfer)
}

fn honest(extensions: String) -> Leaf {
    Leaf { by: "device", extensions }
}

/// A public key, and one that is another.
fn keys(folder: &Path) -> [Vec<u8>; 2] {
    ["one.key", "other.key"].map(|name| {
        let key = folder.join(name);
        run(Command::new("openssl").args(["genrsa", "-out"]).arg(&key).arg("2048"));
        let public = ["rsa", "-pubout", "-outform", "DER", "-in"];
        run(Command::new("openssl").args(public).arg(&key))
    })
}

/// Every chain, and what it amounts to for a KEK.
#[test]
fn every_chain_has_its_level_or_its_rule() {
    let folder = tempfile::tempdir().unwrap();
    let pki = Pki::new(&folder.path().join("pki"));
    pki.root("stranger", "critical,CA:TRUE");
    pki.root("shallow", "critical,CA:TRUE,pathlen:0");
    let deep = "critical,CA:TRUE,pathlen:0";
    pki.device("deep", "shallow", deep, "", "");
    pki.device("strange", "stranger", deep, "", "");
    pki.device("expired", "root", deep, "20200101000000Z", "20210101000000Z");
    pki.device("future", "root", deep, "20400101000000Z", "20410101000000Z");
    pki.device("no-authority", "root", "critical,CA:FALSE", "", "");
    let [spki, other] = keys(folder.path());
    let roots = ["root", "shallow"].map(|name| pki.pin(name).parse::<Hash>().unwrap());
    let judged = |path: &Path, spki: &[u8], purpose| {
        judge(&fs::read(path).unwrap(), spki, purpose, Timestamp::now(), &roots)
    };
    let of_kek = |leaf: &Leaf, root: &str| {
        judged(&pki.attest("case", &spki, leaf, root), &spki, Purpose::Kek)
    };

    for (extensions, level) in [
        (born(0), AttestationLevel::OriginAndUsage),
        // What the device says besides does not matter.
        (born(0) + "1.3.6.1.4.1.41482.4.2 = DER:020400000001\n", AttestationLevel::OriginAndUsage),
        (bits(ORIGIN, &[1]), AttestationLevel::Origin),
        (bits(CAPABILITIES, &[0; 8]), AttestationLevel::Witnessed),
        ("keyUsage = digitalSignature\n".to_owned(), AttestationLevel::Witnessed),
    ] {
        let attested = of_kek(&honest(extensions.clone()), "root").unwrap();
        assert_eq!(attested.level, level, "{extensions}");
        assert!(attested.what.contains(&pki.pin("root")) && attested.what.contains(level.said()));
    }

    let by = |by| Leaf { by, extensions: born(0) };
    let refused = |rule: Rule, leaf: &Leaf, root: &str| {
        let error = of_kek(leaf, root).unwrap_err();
        assert_eq!(error.rule(), Some(rule), "{error} of {}", leaf.extensions);
    };
    refused(Rule::AttestationOrigin, &honest(bits(ORIGIN, &[2])), "root");
    // Born here, carried out under a wrap, and back in.
    refused(Rule::AttestationOrigin, &honest(bits(ORIGIN, &[0x11])), "root");
    for capabilities in [EXPORTABLE, DECRYPTS, SIGNS, 0x800, 0x4_0000_0000] {
        refused(Rule::AttestationUsage, &honest(born(capabilities)), "root");
    }
    refused(Rule::AttestationChain, &by("expired"), "root");
    refused(Rule::AttestationChain, &by("future"), "root");
    refused(Rule::AttestationChain, &by("no-authority"), "root");
    refused(Rule::AttestationChain, &by("deep"), "root");
    // The names are the same; keys and pins are not.
    refused(Rule::AttestationRoot, &by("strange"), "stranger");
    refused(Rule::AttestationChain, &by("strange"), "root");
    refused(Rule::AttestationFormat, &honest(bits(ORIGIN, &[1, 0])), "root");
    refused(Rule::AttestationFormat, &honest(born(0).replace("03090", "03070")), "root");
    let critical = born(0) + "1.2.3.4 = critical,DER:0500\n";
    refused(Rule::AttestationChain, &honest(critical), "root");
    // An authority whose root allows none below it.
    refused(Rule::AttestationChain, &by("deep"), "shallow");

    // A target key may sign and decrypt as the plan says, and never leave.
    let usage = |sign, decrypt| Purpose::Target(Usage { sign, decrypt });
    let chain = pki.attest("both", &spki, &honest(born(SIGNS | DECRYPTS)), "root");
    assert_eq!(
        judged(&chain, &spki, usage(true, true)).unwrap().level,
        AttestationLevel::OriginAndUsage
    );
    for purpose in [usage(true, false), usage(false, true), Purpose::Kek] {
        let error = judged(&chain, &spki, purpose).unwrap_err();
        assert_eq!(error.rule(), Some(Rule::AttestationUsage), "{error}");
    }
    let error = judged(&chain, &other, usage(true, true)).unwrap_err();
    assert_eq!(error.rule(), Some(Rule::AttestationKey), "{error}");
}

/// Every byte changed, every length cut, certificates left out, twice and swapped: refused by a
/// rule, never a panic.
#[test]
fn no_changed_chain_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let pki = Pki::new(&folder.path().join("pki"));
    let [spki, _] = keys(folder.path());
    let path = pki.attest("whole", &spki, &honest(born(0)), "root");
    let whole = fs::read_to_string(path).unwrap();
    let roots = [pki.pin("root").parse::<Hash>().unwrap()];
    let rule = |pem: &[u8]| {
        judge(pem, &spki, Purpose::Kek, Timestamp::now(), &roots).map_err(|error| error.rule())
    };
    assert!(rule(whole.as_bytes()).is_ok());
    let end = "-----END CERTIFICATE-----\n";
    let all: Vec<String> = whole.split_inclusive(end).map(str::to_owned).collect();
    let [leaf, device, root] = &all[..] else { panic!("{whole}") };
    for wrong in [
        String::new(),
        leaf.clone(),
        [leaf, root].map(String::as_str).concat(),
        [device, leaf, root].map(String::as_str).concat(),
        [leaf, root, device].map(String::as_str).concat(),
        [leaf, leaf, device, root].map(String::as_str).concat(),
        [leaf, device, root, root].map(String::as_str).concat().repeat(3),
        format!("{leaf}{device}"),
    ] {
        assert!(matches!(rule(wrong.as_bytes()), Err(Some(_))), "{wrong}");
    }
    let mut taken = Vec::new();
    for (at, byte) in whole.bytes().enumerate() {
        let mut changed = whole.clone().into_bytes();
        changed[at] = if byte == b'A' { b'B' } else { b'A' };
        match rule(&changed) {
            Err(Some(_)) => {}
            Err(None) => panic!("byte {at}: no rule"),
            Ok(_) => taken.push(at),
        }
        if at % 7 == 0 {
            assert!(matches!(rule(&whole.as_bytes()[..at]), Err(Some(_))), "cut at {at}");
        }
    }
    assert_eq!(taken, Vec::<usize>::new(), "changed and taken");
}

/// The KEK's public key of an offer that is not yet made: from the HSM by its CKA_ID, as
/// `--prepare` names it.
fn prepared_kek(stage: &Stage) -> Vec<u8> {
    let said = stage.hoster(&["--json", "kek", "create", "--prepare"]).ok();
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    public_key(stage, said["CKA_ID"].as_str().unwrap())
}

fn public_key(stage: &Stage, id: &str) -> Vec<u8> {
    let mut command = Command::new("pkcs11-tool");
    stage.environment(&mut command, "hoster");
    run(command.arg("--module").arg(stage.module("hoster")).args([
        "--token-label",
        "hoster",
        "--read-object",
        "--type",
        "pubkey",
        "--id",
        id,
    ]))
}

#[test]
fn an_offer_carries_its_attestation_to_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let pki = Pki::new(&folder.path().join("pki"));
    let mut stage =
        Stage::with(Setting::composite(), |plan| pinned(plan, &pki, "origin-and-usage"));
    stage.walk_to(Done::Init);
    // Without attestation the KEK is made, and not offered.
    let said = stage.hoster(&["kek", "create"]).refused("ATTESTATION-LEVEL");
    assert!(said.contains("origin and usage attested, as the plan says"), "{said}");
    let spki = prepared_kek(&stage);
    let create =
        |path: &Path| stage.hoster(&["kek", "create", "--attestation", path.to_str().unwrap()]);
    let origin = pki.attest("origin", &spki, &honest(bits(ORIGIN, &[1])), "root");
    create(&origin).refused("ATTESTATION-LEVEL");
    let imported = pki.attest("imported", &spki, &honest(bits(ORIGIN, &[2])), "root");
    create(&imported).refused("ATTESTATION-ORIGIN");
    let [_, other] = keys(folder.path());
    create(&pki.attest("other", &other, &honest(born(0)), "root")).refused("ATTESTATION-KEY");
    // What only the vendor's tool can read is what people watched.
    let vendor = ["kek", "create", "--attestation", "pin", "--attestation-report", "so-pin"];
    stage.hoster(&vendor).refused("ATTESTATION-LEVEL");

    // An authority that will be no more when the auditor comes.
    let day = SignedDuration::from_hours(24);
    let until = (Timestamp::now() + day).strftime("%Y%m%d%H%M%SZ").to_string();
    let deep = "critical,CA:TRUE,pathlen:0";
    pki.device("mortal", "root", deep, "", &until);
    let leaf = Leaf { by: "mortal", extensions: born(0) };
    let said = create(&pki.attest("good", &spki, &leaf, "root")).ok();
    assert!(said.contains("kek: origin and usage attested"), "{said}");
    stage.done = Some(Done::KekCreate);
    stage.walk_to(Done::OfferRelease);

    // A hoster that puts another attestation into a released offer is refused by the tenant before
    // any word is typed.
    let forged = stage.path("forged");
    run(Command::new("cp").arg("-r").arg(stage.path("medium/offer")).arg(&forged));
    let bytes = fs::read(&origin).unwrap();
    fs::write(forged.join("kek.attestation"), &bytes).unwrap();
    let mut offer = stage.json("forged/offer.json");
    offer["body"]["attestations"][0]["file"] =
        serde_json::json!({"hash": Hash::of(&bytes).to_string(), "length": bytes.len()});
    fs::write(forged.join("offer.json"), serde_json::to_vec_pretty(&offer).unwrap()).unwrap();
    for id in ["hana", "hugo"] {
        stage.sign(&forged.join("offer.json"), "keyferry-document", id);
    }
    let words = stage.words("kek", &stage.kek_words());
    stage.tenant(&["offer", "check", "forged", "--words", &words]).refused("ATTESTATION-LEVEL");

    stage.walk_to(Done::OfferCheck);
    stage.walk_to(Done::TenantClose);
    // Judged as of the ceremony, whenever the auditor comes.
    let chain = fs::read(pki.path("good.chain")).unwrap();
    let roots = [pki.pin("root").parse().unwrap()];
    let judged = |at| judge(&chain, &spki, Purpose::Kek, at, &roots);
    judged(Timestamp::now()).unwrap();
    let later = judged(Timestamp::now() + day + day).unwrap_err();
    assert_eq!(later.rule(), Some(Rule::AttestationChain));
    let says = "offer, kek: origin and usage attested";
    audited(&stage, says);
    let said = stage.auditor_later(2 * day, &["verify", "tenant", "hoster"]);
    assert!(said.ok().contains(says));
    let log = fs::read_to_string(stage.path("tenant/log.jsonl")).unwrap();
    assert!(log.contains("\"attested\":\"origin-and-usage\""), "{log}");
    for (side, event) in [("tenant", "offer-check"), ("hoster", "kek-create")] {
        for level in ["origin", "witnessed"] {
            let said = script_refuses(&stage, side, event, |entry| {
                assert_eq!(entry["attested"], "origin-and-usage");
                entry["attested"] = level.into();
            });
            assert!(said.contains(&format!("the {side}'s log, {event}: attested is")), "{said}");
        }
    }
}

/// What the script of ordinary tools says of an archive in whose own log one entry was changed, and
/// the chain made to fit.
fn script_refuses(stage: &Stage, side: &str, event: &str, change: impl Fn(&mut Value)) -> String {
    let archive = stage.path("changed");
    let _ = fs::remove_dir_all(&archive);
    let original = stage.path(&format!("{side}/archive"));
    run(Command::new("cp").arg("-r").arg(original).arg(&archive));
    let log = archive.join(format!("{side}.log.jsonl"));
    let (mut text, mut prev, mut changed) = (String::new(), "0".repeat(64), 0);
    for line in fs::read_to_string(&log).unwrap().lines() {
        let mut entry: Value = serde_json::from_str(line).unwrap();
        if entry["event"] == event {
            change(&mut entry);
            changed += 1;
        }
        entry["prev"] = prev.into();
        let line = format!("{entry}\n");
        prev = Hash::of(line.as_bytes()).to_string();
        text.push_str(&line);
    }
    assert_eq!(changed, 1);
    fs::write(&log, text).unwrap();
    let head = archive.join("head.json");
    let mut closed: Value = serde_json::from_slice(&fs::read(&head).unwrap()).unwrap();
    closed["head"] = prev.into();
    fs::write(&head, format!("{closed:#}\n")).unwrap();
    run(Command::new("bash").current_dir(&archive).arg("-c").arg(
        "rm head.json.*.sig && find -- * -type f ! -path SHA256SUMS -exec sha256sum {} + > ../sums && mv ../sums SHA256SUMS",
    ));
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/ceremony-scripts/verify");
    let said = ended(Command::new(script).arg(&archive));
    assert_eq!(said.code, 1, "{said:?}");
    said.err
}

/// Both verifiers take the archive, and the auditor's verdict says this.
fn audited(stage: &Stage, says: &str) {
    let verdict = stage.verdict();
    assert!(verdict.text().contains(says), "{}", verdict.text());
}

#[test]
fn keys_that_are_born_at_the_hoster_are_attested_one_by_one() {
    let folder = tempfile::tempdir().unwrap();
    let pki = Pki::new(&folder.path().join("pki"));
    let mut stage = Stage::with(Setting::born(), |plan| pinned(plan, &pki, "origin"));
    stage.walk_to(Done::Init);
    let said = stage.hoster(&["--json", "keys", "create", "--prepare"]).ok();
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    let attested = |label: &str, extensions: String| {
        let id = said[label].as_str().unwrap();
        let id = id.strip_prefix("CKA_ID ").unwrap().split(',').next().unwrap();
        let path = pki.attest(label, &public_key(&stage, id), &honest(extensions), "root");
        format!("{label}={}", path.display())
    };
    let signing = attested("hgs-signing", born(SIGNS));
    let encryption = attested("hgs-encryption", bits(ORIGIN, &[1]));
    let create = ["keys", "create", "--attestation", &signing];
    stage.hoster(&create).refused("ATTESTATION-LEVEL");
    let unknown = ["keys", "create", "--attestation", "kek=pin"];
    stage.hoster(&unknown).ended_with(2);
    let create = [&create[..], &["--attestation", &encryption]].concat();
    stage.hoster(&create).ok();
    let log = fs::read_to_string(stage.path("hoster/log.jsonl")).unwrap();
    assert!(log.contains("\"attested\":\"origin\""), "the least of both: {log}");
    stage.done = Some(Done::KekCreate);
    stage.walk_to(Done::TenantClose);
    audited(&stage, "keys, hgs-signing: origin and usage attested");
    for (side, event) in [("hoster", "keys-create"), ("tenant", "keys-check")] {
        for level in ["origin-and-usage", "witnessed"] {
            let said =
                script_refuses(&stage, side, event, |entry| entry["attested"] = level.into());
            assert!(said.contains(&format!("the {side}'s log, {event}: attested is")), "{said}");
        }
    }
}

/// A plan that asks for no attestation takes another vendor's all the same, verbatim, with what its
/// own tool said.
#[test]
fn another_vendors_attestation_is_kept_with_its_tools_word() {
    let mut stage = Stage::of(Setting::composite(), Done::Init);
    let (bundle, report) = (b"a bundle\0of another form", "VERIFIED by the vendor's tool\u{1b}[2J");
    fs::write(stage.path("bundle"), bundle).unwrap();
    fs::write(stage.path("report"), report).unwrap();
    // A chain that should be read needs a root.
    stage.hoster(&["kek", "create", "--attestation", "bundle"]).refused("ATTESTATION-FORMAT");
    stage
        .hoster(&["kek", "create", "--attestation", "bundle", "--attestation-report", "report"])
        .ok();
    stage.done = Some(Done::KekCreate);
    stage.walk_to(Done::TenantClose);
    for folder in ["tenant/archive/offer", "hoster/archive/offer"] {
        let kept = |name: &str| fs::read(stage.path(folder).join(name)).unwrap();
        assert_eq!(kept("kek.attestation"), bundle);
        assert_eq!(kept("kek.attestation-report"), report.as_bytes());
    }
    audited(&stage, "offer, kek: witnessed only: an attestation that its vendor's own tool reads");
    let shown = stage.auditor(&["show", "tenant/archive/offer/offer.json"]).ok();
    assert!(shown.contains("kek.attestation-report"), "{shown}");
}
