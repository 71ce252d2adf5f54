//! Keys for a cloud service: wrapped for its KEK by the same calls and behind the same gate,
//! without a seal, in the form that each service documents; and opened by OpenSSL, as the service
//! would.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Mutex,
};

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};

use crate::common::{
    run,
    stage::{Done, Family, Setting, Stage},
};
use record::{
    encoding::Hash,
    verify::{self, Against},
};

const KID: &str = "https://contoso.vault.azure.net/keys/KEK/0123456789abcdef0123456789abcdef";

fn setting(
    cloud: &'static str,
    family: Family,
    oaep: &'static str,
    bits: u32,
    shim: bool,
) -> Setting {
    let mut waivers = match shim {
        true => vec!["TARGET-WRAP-WITH-TRUSTED".to_owned()],
        false => vec!["WRAP-COMPOSITE".to_owned()],
    };
    if oaep == "sha1" {
        waivers.push("WRAP-OAEP-SHA1".into());
    }
    // It fills what it wraps with zeros, which OpenSSL takes in the service's place.
    if family == Family::SoftHsm {
        waivers.push("WRAP-ZERO-FILLED".into());
    }
    Setting {
        tenant: family,
        hoster: family,
        shim,
        mechanism: if shim { "single-shot" } else { "composite" },
        oaep,
        bits,
        // Long keys are long in the making: one will do.
        keys: if bits == 2048 { 2 } else { 1 },
        waivers,
        cloud: Some(cloud),
        ..Setting::default()
    }
}

/// The service's KEK: its private half, and its public half as the service hands it out.
fn kek(stage: &Stage, pem: bool) -> String {
    let private = stage.path("kek.pem");
    run(Command::new("openssl").args(["genrsa", "-out"]).arg(&private).arg("3072"));
    let form = if pem { "PEM" } else { "DER" };
    let public = ["pkey", "-pubout", "-outform", form, "-in"];
    let public = run(Command::new("openssl").args(public).arg(&private));
    fs::write(stage.path("wrapping-key"), public).unwrap();
    "wrapping-key".into()
}

/// What the service finds inside: the private key in DER, by OpenSSL alone.
fn opened(stage: &Stage, wrapped: &[u8], oaep: &str) -> Vec<u8> {
    let (aes, key) = wrapped.split_at(3072 / 8);
    fs::write(stage.path("aes.wrapped"), aes).unwrap();
    fs::write(stage.path("key.wrapped"), key).unwrap();
    let options = [
        "-pkeyopt".to_owned(),
        "rsa_padding_mode:oaep".into(),
        "-pkeyopt".into(),
        format!("rsa_oaep_md:{oaep}"),
        "-pkeyopt".into(),
        format!("rsa_mgf1_md:{oaep}"),
    ];
    let aes = run(Command::new("openssl")
        .args(["pkeyutl", "-decrypt", "-inkey"])
        .arg(stage.path("kek.pem"))
        .args(options)
        .arg("-in")
        .arg(stage.path("aes.wrapped")));
    assert_eq!(aes.len(), 32);
    run(Command::new("openssl")
        .args(["enc", "-d", "-id-aes256-wrap-pad", "-iv", "A65959A6", "-K"])
        .arg(HEXLOWER.encode(&aes))
        .arg("-in")
        .arg(stage.path("key.wrapped")))
}

/// Whether this PKCS#8 is the private half of the certificate of a label, and has as many bits.
fn is_private_of(stage: &Stage, pkcs8: &[u8], label: &str, bits: u32) {
    fs::write(stage.path("opened.der"), pkcs8).unwrap();
    let public = run(Command::new("openssl")
        .args(["pkey", "-inform", "DER", "-pubout", "-outform", "DER", "-in"])
        .arg(stage.path("opened.der")));
    let certificate = stage.path(&format!("tenant/keys/{label}.crt"));
    let pem = run(Command::new("openssl")
        .args(["x509", "-inform", "DER", "-noout", "-pubkey", "-in"])
        .arg(&certificate));
    fs::write(stage.path("public.pem"), pem).unwrap();
    let expected = run(Command::new("openssl")
        .args(["pkey", "-pubin", "-outform", "DER", "-in"])
        .arg(stage.path("public.pem")));
    assert_eq!(public, expected, "{label}");
    if bits > 0 {
        assert_eq!(record::spki::rsa_bits(&public).unwrap(), bits);
    }
}

fn export<'a>(cloud: &'a str, kek: &'a str) -> Vec<&'a str> {
    let mut export = vec!["export", "--format", cloud, "--kek", kek];
    if cloud == "azure-byok" {
        export.extend(["--kid", KID]);
    }
    export
}

fn wrapped_of(cloud: &str, file: &Path) -> Vec<u8> {
    let bytes = fs::read(file).unwrap();
    if cloud != "azure-byok" {
        return bytes;
    }
    let byok: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    let names: Vec<&String> = byok.as_object().unwrap().keys().collect();
    assert_eq!(names, ["ciphertext", "generator", "header", "schema_version"]);
    assert_eq!(byok["schema_version"], "1.0.0");
    let header = serde_json::json!({"kid": KID, "alg": "dir", "enc": "CKM_RSA_AES_KEY_WRAP"});
    assert_eq!(byok["header"], header);
    let generator = byok["generator"].as_str().unwrap();
    assert!(
        generator.starts_with("Keyferry 0.1.0; ") && generator.contains("firmware"),
        "{generator}"
    );
    BASE64URL_NOPAD.decode(byok["ciphertext"].as_str().unwrap().as_bytes()).unwrap()
}

/// What a token of this stage's kind was seen to do: a probe makes keys, and takes its time.
fn probed(stage: &Stage) -> PathBuf {
    static SEEN: Mutex<BTreeMap<(&str, bool), Vec<u8>>> = Mutex::new(BTreeMap::new());
    let mut seen = SEEN.lock().unwrap();
    let (file, setting) = (stage.path("tenant.json"), &stage.setting);
    let kind = match setting.tenant {
        Family::SoftHsm => "softhsm",
        Family::Kryoptic => "kryoptic",
    };
    let report = seen.entry((kind, setting.shim)).or_insert_with(|| {
        let made = stage.probe("tenant");
        fs::read(made).unwrap()
    });
    fs::write(&file, report).unwrap();
    file
}

/// One ceremony, to its end; or the refusal that `plan check --probe` foretold.
fn ceremony(
    cloud: &'static str,
    family: Family,
    oaep: &'static str,
    bits: u32,
    shim: bool,
) -> String {
    let mut stage = Stage::with(setting(cloud, family, oaep, bits, shim), |plan| plan);
    let probe = probed(&stage);
    let check =
        ["plan", "check", "plan/ceremony.toml", "--json", "--probe", probe.to_str().unwrap()];
    let forecast: serde_json::Value = serde_json::from_str(&stage.auditor(&check).out).unwrap();
    let words = stage.words("plan", &stage.plan_words());
    let init = ["init", "plan/ceremony.toml", "--words", &words];
    stage.hoster(&init).refused("PLAN-TARGET");
    stage.tenant(&init).ok();
    stage.done = Some(Done::Init);
    if let Some(refused) = forecast["refusals"].get(0) {
        assert_eq!(refused["command"], "keys create");
        let rule = refused["rule"].as_str().unwrap();
        stage.tenant(&["keys", "create"]).refused(rule);
        return format!("{rule}, as foretold");
    }
    stage.tenant(&["keys", "create"]).ok();
    let kek = kek(&stage, cloud != "aws-kms");
    let export = export(cloud, &kek);
    stage.tenant(&export).ended_with(6);
    stage.approve("tenant", "export", &["ada"]);
    stage.tenant(&export).ended_with(6);
    stage.approve("tenant", "export", &["cora"]);
    let said = stage.tenant(&export).ok();
    assert!(said.contains("Whoever holds that KEK has the keys"), "{said}");
    for label in ["hgs-signing", "hgs-encryption"].into_iter().take(stage.setting.keys) {
        let end = if cloud == "azure-byok" { "byok" } else { "bin" };
        let file = stage.path(&format!("tenant/outbox/cloud-1/{label}.{end}"));
        let pkcs8 = opened(&stage, &wrapped_of(cloud, &file), oaep);
        is_private_of(&stage, &pkcs8, label, bits);
        let log = fs::read_to_string(stage.path("tenant/log.jsonl")).unwrap();
        let hash = Hash::of(&fs::read(&file).unwrap()).to_string();
        assert!(log.contains(&hash), "{log}");
    }
    stage.tenant(&["close"]).ok();
    for id in ["ada", "ben"] {
        stage.sign(&stage.path("tenant/archive/head.json"), "keyferry-head", id);
    }
    for folder in ["tenant", "tenant/archive"] {
        let verdict = verify::verify(&[stage.path(folder)], &Against::default()).unwrap();
        assert!(verdict.missing.is_empty(), "{verdict:?}");
        let unnamed = |line: &String| line.contains("no entry of the log names it");
        assert!(!verdict.claims.iter().any(unnamed), "{verdict:?}");
    }
    let verify = concat!(env!("CARGO_MANIFEST_DIR"), "/ceremony-scripts/verify");
    run(Command::new(verify).arg(stage.path("tenant/archive")));
    "opened".into()
}

/// The sizes of keys. Of a selection each case takes the next.
const SIZES: [u32; 3] = [4096, 3072, 2048];

/// Every family and hash: what is opened, and what the probe foretold that the token refuses.
fn every_case(cloud: &'static str, hashes: &[&'static str], sizes: impl Fn(usize) -> Vec<u32>) {
    let mut cases = 0;
    for family in Family::ALL {
        for oaep in hashes {
            for bits in sizes(cases) {
                // Both mechanisms make the same bytes; each case takes one of them in turn.
                let outcome = ceremony(cloud, family, oaep, bits, cases % 2 == 1);
                let foretold = (family, *oaep) == (Family::SoftHsm, "sha256");
                // SoftHSM has no SHA-256 for RSA-OAEP; everything else is carried.
                let expected = match foretold {
                    true => "WRAP-OAEP-HASH, as foretold",
                    false => "opened",
                };
                assert_eq!(outcome, expected, "{cloud} {family:?} {oaep} RSA-{bits}");
                cases += 1;
            }
        }
    }
}

fn in_turn(case: usize) -> Vec<u32> {
    vec![SIZES[case % SIZES.len()]]
}

#[test]
#[ignore = "minutes: `ceremony-scripts/test --part clouds`"]
fn every_size_opens_as_each_service_would() {
    every_case("azure-byok", &["sha1"], |_| SIZES.to_vec());
    for cloud in ["aws-kms", "gcp-kms"] {
        every_case(cloud, &["sha1", "sha256"], |_| SIZES.to_vec());
    }
}

/// Azure takes SHA-1 alone.
#[test]
fn azure_byok_opens_as_the_service_would() {
    every_case("azure-byok", &["sha1"], in_turn);
}

#[test]
fn aws_kms_opens_as_the_service_would_or_is_refused_as_foretold() {
    every_case("aws-kms", &["sha1", "sha256"], in_turn);
}

/// With SHA-1 its bytes are those of AWS.
#[test]
fn gcp_kms_opens_as_the_service_would_or_is_refused_as_foretold() {
    every_case("gcp-kms", &["sha256"], in_turn);
}

/// SoftHSM fills what it wraps; the importer of a service is not ours.
#[test]
fn zeros_behind_a_key_are_foretold_and_refused_unless_waived() {
    let mut setting = setting("gcp-kms", Family::SoftHsm, "sha1", 2048, false);
    setting.waivers.retain(|waiver| waiver != "WRAP-ZERO-FILLED");
    let stage = Stage::with(setting, |plan| plan);
    let probe = probed(&stage);
    let check =
        ["plan", "check", "plan/ceremony.toml", "--json", "--probe", probe.to_str().unwrap()];
    let forecast: serde_json::Value = serde_json::from_str(&stage.auditor(&check).out).unwrap();
    assert_eq!(forecast["refusals"][0]["rule"], "WRAP-ZERO-FILLED");
    assert_eq!(forecast["needed"][0], "WRAP-ZERO-FILLED");
    let words = stage.words("plan", &stage.plan_words());
    stage.tenant(&["init", "plan/ceremony.toml", "--words", &words]).ok();
    stage.tenant(&["keys", "create"]).refused("WRAP-ZERO-FILLED");
    let log = fs::read_to_string(stage.path("tenant/log.jsonl")).unwrap();
    assert!(!log.contains("\"event\":\"intent\""), "{log}");
    // Elsewhere nothing refuses it, and so nothing may waive it.
    let other = Setting::composite();
    let waivers = [&other.waivers[..], &["WRAP-ZERO-FILLED".to_owned()]].concat();
    let stage = Stage::with(Setting { waivers, ..other }, |plan| plan);
    stage.auditor(&["plan", "check", "plan/ceremony.toml"]).refused("PLAN-WAIVER");
}

#[test]
fn what_is_not_as_planned_or_signed_for_leaves_no_file() {
    let mut stage =
        Stage::with(setting("azure-byok", Family::SoftHsm, "sha1", 2048, false), |plan| plan);
    let words = stage.words("plan", &stage.plan_words());
    // Words as a shell of Windows writes them into a file.
    let marked = [&b"\xef\xbb\xbf"[..], &fs::read(stage.path(&words)).unwrap()].concat();
    fs::write(stage.path(&words), marked).unwrap();
    stage.tenant(&["init", "plan/ceremony.toml", "--words", &words]).ok();
    stage.done = Some(Done::Init);
    // Nobody waits for an offer here.
    let status = stage.tenant(&["status"]);
    let said = format!("{}{}", status.out, status.err);
    assert!(said.contains("keys create") && !said.contains("first:"), "{said}");
    let kek_file = kek(&stage, true);
    let good = export("azure-byok", &kek_file);
    stage.tenant(&good).refused("PHASE-ORDER");
    stage.tenant(&["keys", "create"]).ok();
    stage.tenant(&["export"]).refused("PHASE-ORDER");
    stage.tenant(&export("aws-kms", &kek_file)).refused("PLAN-TARGET");
    stage.tenant(&good[..5]).ended_with(2);
    run(Command::new("openssl").args(["genrsa", "-out"]).arg(stage.path("small.pem")).arg("2048"));
    let small =
        run(Command::new("openssl").args(["pkey", "-pubout", "-in"]).arg(stage.path("small.pem")));
    fs::write(stage.path("small"), small).unwrap();
    let said = stage.tenant(&export("azure-byok", "small")).refused("KEK-KEY");
    assert!(said.contains("2048 bits"), "{said}");
    // A certificate of the right key is not the key.
    let certificate = ["req", "-x509", "-new", "-subj", "/CN=kek", "-key"];
    let certificate = run(Command::new("openssl").args(certificate).arg(stage.path("kek.pem")));
    fs::write(stage.path("certificate"), certificate).unwrap();
    let said = stage.tenant(&export("azure-byok", "certificate")).refused("KEK-KEY");
    assert!(said.contains("a certificate") && said.contains("-pubkey -noout"), "{said}");
    // The very key, as PKCS#1 in one line: what waits for signatures is the same request.
    let asked = stage.tenant(&good).ended_with(6);
    let rsa = ["rsa", "-RSAPublicKey_out", "-in"];
    let rsa = run(Command::new("openssl").args(rsa).arg(stage.path("kek.pem")));
    let rsa = String::from_utf8(rsa).unwrap().replace('\n', "").replace("KEY-----", "KEY-----\n");
    fs::write(stage.path("pkcs1"), rsa.replace("-----END", "\n-----END")).unwrap();
    assert_eq!(stage.tenant(&export("azure-byok", "pkcs1")).ended_with(6), asked);
    fs::write(stage.path("nonsense"), "nonsense").unwrap();
    stage.tenant(&export("azure-byok", "nonsense")).refused("KEK-KEY");

    // The KEK is exchanged between the signatures and the act: asked anew.
    stage.pass("tenant", "export", &good);
    kek(&stage, true);
    stage.tenant(&good).ended_with(6);
    assert!(!stage.path("tenant/outbox/cloud-1").exists());
    stage.approve("tenant", "export", &["ada", "ben"]);
    stage.tenant(&good).ok();

    // Run again, it is done, and nobody signs; but not with another name for the KEK.
    let record = || fs::read(stage.path("tenant/log.jsonl")).unwrap();
    let log = record();
    let said = stage.tenant(&good).ok();
    assert!(said.contains("This is done already"), "{said}");
    assert_eq!(record(), log);
    let renamed = KID.replace("KEK", "KEK2");
    let renamed: Vec<&str> =
        good.iter().map(|one| if *one == KID { renamed.as_str() } else { one }).collect();
    stage.tenant(&renamed).ended_with(6);
    let file = stage.path("tenant/outbox/cloud-1/hgs-signing.byok");
    let aside = file.with_extension("aside");
    fs::rename(&file, &aside).unwrap();
    stage.tenant(&good).ended_with(6);
    fs::rename(&aside, &file).unwrap();
    stage.tenant(&good).ok();
    assert_eq!(record(), log);

    // The wrapping key has expired: another one, signed for again; both exports stay.
    kek(&stage, true);
    stage.tenant(&good).ended_with(6);
    stage.approve("tenant", "export", &["ada", "cora"]);
    stage.tenant(&good).ok();
    let twice = ["cloud-1", "cloud-2"].map(|name| {
        fs::read(stage.path(&format!("tenant/outbox/{name}/hgs-signing.byok"))).unwrap()
    });
    assert_ne!(twice[0], twice[1], "a fresh AES key each time");
    stage.tenant(&["close"]).ok();
    let verdict = verify::verify(&[stage.path("tenant")], &Against::default()).unwrap();
    assert!(verdict.text().contains("2 acts of the tenant"), "{}", verdict.text());
}

/// An EC key, and a plan whose hash the service does not take.
#[test]
fn ec_keys_go_too_and_azure_takes_sha1_alone() {
    let setting =
        Setting { curve: Some(384), ..setting("gcp-kms", Family::Kryoptic, "sha256", 2048, false) };
    let stage = Stage::with(setting, |plan| plan);
    let words = stage.words("plan", &stage.plan_words());
    stage.tenant(&["init", "plan/ceremony.toml", "--words", &words]).ok();
    stage.tenant(&["keys", "create"]).ok();
    let kek = kek(&stage, true);
    let export = export("gcp-kms", &kek);
    stage.pass("tenant", "export", &export);
    stage.tenant(&export).ok();
    let file = stage.path("tenant/outbox/cloud-1/hgs-signing.bin");
    let pkcs8 = opened(&stage, &fs::read(file).unwrap(), "sha256");
    is_private_of(&stage, &pkcs8, "hgs-signing", 0);

    let plan = fs::read_to_string(stage.path("plan/ceremony.toml")).unwrap();
    fs::write(stage.path("azure.toml"), plan.replace("gcp-kms", "azure-byok")).unwrap();
    let said = stage.auditor(&["plan", "check", "azure.toml"]).refused("PLAN-TARGET");
    assert!(said.contains("Azure Key Vault takes no other"), "{said}");
}
