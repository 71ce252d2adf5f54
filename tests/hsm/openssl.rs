//! The format is the standard one: a sealed key, made by Keyferry and a real token for a KEK made
//! in software, is opened by OpenSSL alone.

use std::{fs, path::Path, process::Command};

use data_encoding::HEXLOWER;
use zeroize::Zeroizing;

use crate::common::{PIN, Tokens, run, shim};
use custody::{seal::SealKey, share::Secret};
use hsm::{Module, Pin, TargetSpec, WrapOrder};
use record::{
    encoding::{Fixed, Hash},
    terms::{Mechanism, OaepHash, Usage},
};

/// AES-KWP (RFC 5649) opened by `openssl enc`.
fn unwrap_pad(folder: &Path, key: &[u8], wrapped: &[u8]) -> Vec<u8> {
    let path = folder.join("wrapped");
    fs::write(&path, wrapped).unwrap();
    run(Command::new("openssl")
        .args([
            "enc",
            "-d",
            "-id-aes256-wrap-pad",
            "-iv",
            "A65959A6",
            "-K",
            &HEXLOWER.encode(key),
            "-in",
        ])
        .arg(path))
}

/// HKDF-SHA256 by `openssl kdf`.
fn hkdf(key: &[u8], salt: &[u8], info: &[u8]) -> Vec<u8> {
    let option = |name: &str, bytes: &[u8]| format!("{name}:{}", HEXLOWER.encode(bytes));
    run(Command::new("openssl")
        .args(["kdf", "-keylen", "32", "-binary", "-kdfopt", "digest:SHA256"])
        .args([
            "-kdfopt",
            &option("hexkey", key),
            "-kdfopt",
            &option("hexsalt", salt),
            "-kdfopt",
            &option("hexinfo", info),
            "HKDF",
        ]))
}

/// `enc` of the design, written out once more.
fn enc(label: &str, parts: &[&[u8]]) -> Vec<u8> {
    let mut joined = [label.as_bytes(), b"\0"].concat();
    for part in parts {
        joined.extend((part.len() as u32).to_be_bytes());
        joined.extend(*part);
    }
    joined
}

#[test]
fn a_sealed_key_is_opened_by_openssl_alone() {
    let tokens = Tokens::new(&["tenant"]);
    let folder = tokens.folder();
    let module = Module::open(&shim(), None).unwrap();
    let token = module.token("tenant").unwrap();
    let hsm = token.login(Some(&Pin::new(Zeroizing::new(PIN.to_owned())))).unwrap();
    let kek = folder.join("kek.pem");
    run(Command::new("openssl").args(["genrsa", "-out"]).arg(&kek).arg("3072"));
    let kek_spki =
        run(Command::new("openssl").args(["pkey", "-pubout", "-outform", "DER", "-in"]).arg(&kek));
    let (package_id, plan, fingerprint) = (Fixed([5; 16]), Hash::of(b"plan"), Hash::of(&kek_spki));
    let secret = Secret::derive(&[1; 32], &[2; 32], &package_id, &plan).unwrap();
    let ways = [Mechanism::SingleShot, Mechanism::Composite];
    let all = ways.map(|way| [2048, 3072, 4096].map(|bits| (way, bits)));
    for (n, (mechanism, bits)) in all.into_iter().flatten().enumerate() {
        let label = format!("key-{n}");
        let spec = TargetSpec {
            label: &label,
            kind: record::terms::KeyType::Rsa(bits),
            usage: Usage { sign: true, decrypt: true },
            trusted_only: false,
        };
        let target =
            hsm.target_make(&hsm.inventory().unwrap(), Fixed([n as u8 + 1; 20]), &spec).unwrap();
        let order = WrapOrder {
            kek_spki: &kek_spki,
            trusted: None,
            mechanism,
            oaep: OaepHash::Sha1,
            sessions: 1,
        };
        let wrapped = hsm.wrap(&order, &[&target], &|_| ()).unwrap().remove(0);
        let seal_key = SealKey::derive(&secret, &package_id, &plan, &fingerprint, &label).unwrap();
        let sealed = seal_key.seal(wrapped.as_bytes()).unwrap();

        // From here on OpenSSL, and the two halves of the secret's derivation.
        let ikm = [[1; 32], [2; 32]].concat();
        let s = hkdf(&ikm, &package_id.0, &enc("keyferry/1 secret", &[plan.as_bytes()]));
        let info =
            enc("keyferry/1 seal", &[plan.as_bytes(), fingerprint.as_bytes(), label.as_bytes()]);
        let opened = unwrap_pad(folder, &hkdf(&s, &package_id.0, &info), &sealed);
        let (oaep, kwp) = opened.split_at(3072 / 8);
        fs::write(folder.join("oaep"), oaep).unwrap();
        let aes = run(Command::new("openssl")
            .args(["pkeyutl", "-decrypt", "-pkeyopt", "rsa_padding_mode:oaep", "-inkey"])
            .arg(&kek)
            .arg("-in")
            .arg(folder.join("oaep")));
        assert_eq!(aes.len(), 32);
        let pkcs8 = folder.join("key.der");
        fs::write(&pkcs8, unwrap_pad(folder, &aes, kwp)).unwrap();
        let public = run(Command::new("openssl")
            .args(["pkey", "-inform", "DER", "-pubout", "-outform", "DER", "-in"])
            .arg(&pkcs8));
        assert_eq!(public, target.spki, "RSA-{bits}");
    }
}
