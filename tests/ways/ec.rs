//! EC signing keys, beside an RSA encryption key: carried both ways between both token families,
//! born at the hoster, found where they exist; and refused by a service that cannot use them.

use std::{fs, process::Command};

use crate::common::{
    PIN, run,
    stage::{Done, Family, Setting, Stage},
};

/// Families of both sides, curve, and whether it is single-shot. The first three have each family
/// on each side, each curve, and both mechanisms.
const CROSSINGS: [(Family, Family, u32, bool); 5] = [
    (Family::SoftHsm, Family::Kryoptic, 384, false),
    (Family::Kryoptic, Family::SoftHsm, 256, false),
    (Family::SoftHsm, Family::SoftHsm, 384, true),
    (Family::SoftHsm, Family::SoftHsm, 256, false),
    (Family::Kryoptic, Family::Kryoptic, 384, false),
];

#[test]
fn ec_keys_cross_between_token_families_by_both_mechanisms() {
    cross(&CROSSINGS[..3]);
}

#[test]
#[ignore = "a minute: `ceremony-scripts/test --part curves`"]
fn ec_keys_cross_between_every_two_families() {
    cross(&CROSSINGS[3..]);
}

fn cross(crossings: &[(Family, Family, u32, bool)]) {
    for &(tenant, hoster, curve, shim) in crossings {
        let setting = Setting {
            tenant,
            hoster,
            curve: Some(curve),
            ..if shim { Setting::default() } else { Setting::composite() }
        };
        let mut stage = Stage::with(setting, |plan| plan);
        stage.walk_to(Done::TenantClose);
        stage.verdict();
        // OpenSSL takes the certificate for what it is, and its key signed the package: two raw
        // numbers.
        let certificate = stage.path("tenant/keys/hgs-signing.crt");
        let shown = run(Command::new("openssl")
            .args(["x509", "-inform", "DER", "-noout", "-text", "-in"])
            .arg(&certificate));
        let shown = String::from_utf8(shown).unwrap();
        assert!(shown.contains(&format!("({curve} bit)")), "{shown}");
        let signature = fs::read(stage.path("medium/package/package.json.hgs-signing.hsm-sig"));
        assert_eq!(signature.unwrap().len(), 2 * curve as usize / 8);
    }
}

#[test]
fn ec_keys_are_born_at_the_hoster_too() {
    for (family, curve) in [(Family::SoftHsm, 384), (Family::Kryoptic, 256)] {
        let setting =
            Setting { tenant: family, hoster: family, curve: Some(curve), ..Setting::born() };
        let mut stage = Stage::with(setting, |plan| plan);
        stage.walk_to(Done::TenantClose);
        stage.verdict();
    }
}

/// An EC key that the tenant has had for long: found by its public key alone, whatever it is
/// called, among others of its curve.
#[test]
fn an_ec_key_that_exists_is_found_and_carried() {
    let setting = Setting { curve: Some(256), ..Setting::composite() };
    let mut stage = Stage::with(setting, |plan| plan);
    stage.walk_to(Done::OfferCheck);
    let public = stage.path("old.der");
    for (id, label) in [("41", "other"), ("42", "old")] {
        let (key, der) = (stage.path("old.pem"), stage.path("old-private.der"));
        run(Command::new("openssl")
            .args(["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out"])
            .arg(&key));
        run(Command::new("openssl")
            .args(["pkcs8", "-topk8", "-nocrypt", "-outform", "DER", "-in"])
            .arg(&key)
            .arg("-out")
            .arg(&der));
        run(Command::new("openssl")
            .args(["pkey", "-pubout", "-outform", "DER", "-in"])
            .arg(&key)
            .arg("-out")
            .arg(&public));
        let mut command = Command::new("pkcs11-tool");
        stage.environment(&mut command, "tenant");
        run(command
            .arg("--module")
            .arg(stage.module("tenant"))
            .args(["--token-label", "tenant", "--login", "--pin", PIN, "--write-object"])
            .arg(&der)
            .args(["--type", "privkey", "--id", id, "--label", label])
            .args(["--sensitive", "--extractable", "--usage-sign"]));
    }
    let existing = "hgs-signing=old.der";
    stage.tenant(&["keys", "create", "--existing", existing]).ok();
    stage.done = Some(Done::KeysCreate);
    stage.walk_to(Done::TenantClose);
    stage.verdict();
    let package = stage.json("medium/package/package.json");
    let spki = package["body"]["keys"][0]["spki"].as_str().unwrap();
    assert_eq!(spki, data_encoding::BASE64.encode(&fs::read(public).unwrap()));
}

#[test]
fn an_interrupted_import_of_ec_keys_is_settled_from_the_hsm() {
    let setting = Setting { curve: Some(256), ..Setting::composite() };
    let mut stage = Stage::with(setting, |plan| plan);
    stage.walk_to(Done::Import);
    // The log forgets the result; the HSM has it.
    let path = stage.path("hoster/log.jsonl");
    let log = fs::read_to_string(&path).unwrap();
    let kept: Vec<&str> = log.lines().collect();
    assert!(kept.last().unwrap().contains("\"event\":\"import\""));
    fs::write(&path, kept[..kept.len() - 1].join("\n") + "\n").unwrap();
    stage.hoster(&["import", "medium/package"]).ok();
    let log = fs::read_to_string(&path).unwrap();
    assert!(log.lines().last().unwrap().contains("\"made\":false"), "{log}");
    stage.walk_to(Done::TenantClose);
    stage.verdict();
}

#[test]
fn the_host_guardian_service_refuses_ec_keys_by_name() {
    let stage = Stage::of(Setting::composite(), Done::Plan);
    let plan = fs::read_to_string(stage.path("plan/ceremony.toml")).unwrap();
    let hgs = plan
        .replacen("type = \"rsa\"\nbits = 2048", "type = \"ec\"\nbits = 256", 1)
        .replace("kind = \"local\"", "kind = \"hgs\"\nksp = \"a KSP\"\ndeployment = \"new\"");
    fs::write(stage.path("hgs.toml"), hgs).unwrap();
    let said = stage.auditor(&["plan", "check", "hgs.toml"]).refused("PLAN-TARGET");
    assert!(said.contains("hgs-signing"), "{said}");
}
