//! A vendor as OpenSSL makes one: a root, devices, and the certificates in which a device attests a
//! key.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::common::run;

/// The form of YubiHSM 2: origin, one byte.
pub const ORIGIN: &str = "1.3.6.1.4.1.41482.4.3";
/// Capabilities, eight bytes.
pub const CAPABILITIES: &str = "1.3.6.1.4.1.41482.4.5";

/// A vendor's root and its devices, each a certificate `<name>.pem` and a key `<name>.key`.
pub struct Pki {
    folder: PathBuf,
}

/// A certificate that a device makes of a key.
#[derive(Clone)]
pub struct Leaf {
    /// The device that signs.
    pub by: &'static str,
    /// The extensions, as a section of OpenSSL's configuration.
    pub extensions: String,
}

/// The extension as OpenSSL takes it: a BIT STRING of these bytes.
pub fn bits(oid: &str, bytes: &[u8]) -> String {
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{oid} = DER:03{:02x}00{hex}\n", bytes.len() + 1)
}

/// What a device says of a key that was born in it: origin and capabilities.
pub fn born(capabilities: u64) -> String {
    bits(ORIGIN, &[1]) + &bits(CAPABILITIES, &capabilities.to_be_bytes())
}

impl Pki {
    /// A root and an honest device.
    pub fn new(folder: &Path) -> Self {
        fs::create_dir_all(folder).unwrap();
        let pki = Pki { folder: folder.to_owned() };
        pki.root("root", "critical,CA:TRUE");
        pki.device("device", "root", "critical,CA:TRUE,pathlen:0", "", "");
        pki
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn openssl(&self, arguments: &[&str]) -> Vec<u8> {
        run(Command::new("openssl").args(arguments).current_dir(&self.folder))
    }

    /// A self-signed authority of this name. All roots have the same subject.
    pub fn root(&self, name: &str, constraints: &str) {
        let (key, pem) = (format!("{name}.key"), format!("{name}.pem"));
        self.openssl(&["genrsa", "-out", &key, "2048"]);
        let constraints = format!("basicConstraints={constraints}");
        self.openssl(&[
            "req",
            "-new",
            "-x509",
            "-key",
            &key,
            "-out",
            &pem,
            "-days",
            "3650",
            "-sha384",
            "-subj",
            "/CN=Vendor Root",
            "-addext",
            &constraints,
            "-addext",
            "keyUsage=critical,keyCertSign",
        ]);
    }

    /// A device's own certificate, valid from and until these moments of OpenSSL's form, or for ten
    /// years. All devices have the same subject.
    pub fn device(&self, name: &str, root: &str, constraints: &str, from: &str, until: &str) {
        let (key, csr, pem) = (format!("{name}.key"), format!("{name}.csr"), format!("{name}.pem"));
        let curve = ["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out"];
        self.openssl(&[&curve[..], &[&key]].concat());
        let subject = "/CN=YubiHSM Attestation (1)";
        self.openssl(&["req", "-new", "-key", &key, "-subj", subject, "-out", &csr]);
        let conf = format!(
            "[ca]\ndefault_ca = d\n[d]\ndatabase = {name}.db\nnew_certs_dir = .\nrand_serial = yes\npolicy = p\n\
             default_md = sha256\ndefault_days = 3650\nx509_extensions = x\nunique_subject = no\n[p]\ncommonName = supplied\n\
             [x]\nbasicConstraints = {constraints}\n"
        );
        fs::write(self.path(&format!("{name}.conf")), conf).unwrap();
        fs::write(self.path(&format!("{name}.db")), "").unwrap();
        let (conf, root, root_key) =
            (format!("{name}.conf"), format!("{root}.pem"), format!("{root}.key"));
        let mut arguments = vec![
            "ca", "-batch", "-notext", "-config", &conf, "-cert", &root, "-keyfile", &root_key,
            "-in", &csr, "-out", &pem,
        ];
        if !from.is_empty() {
            arguments.extend(["-startdate", from]);
        }
        if !until.is_empty() {
            arguments.extend(["-enddate", until]);
        }
        self.openssl(&arguments);
    }

    /// The chain in which a device attests this public key: its certificate, the device's, the
    /// root's. The file's path.
    pub fn attest(&self, name: &str, spki: &[u8], leaf: &Leaf, root: &str) -> PathBuf {
        fs::write(self.path("public.der"), spki).unwrap();
        let pem = self.openssl(&["pkey", "-pubin", "-inform", "DER", "-in", "public.der"]);
        fs::write(self.path("public.pem"), pem).unwrap();
        fs::write(self.path("leaf.conf"), &leaf.extensions).unwrap();
        // The request's own key is thrown away: the device puts the attested one into the
        // certificate.
        let request = [
            "req",
            "-new",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-keyout",
            "thrown.key",
            "-subj",
            "/CN=YubiHSM Attestation id 0x0001",
            "-out",
            "leaf.csr",
        ];
        self.openssl(&request);
        let (by, key) = (format!("{}.pem", leaf.by), format!("{}.key", leaf.by));
        self.openssl(&[
            "x509",
            "-req",
            "-in",
            "leaf.csr",
            "-force_pubkey",
            "public.pem",
            "-CA",
            &by,
            "-CAkey",
            &key,
            "-CAcreateserial",
            "-days",
            "3650",
            "-extfile",
            "leaf.conf",
            "-out",
            "leaf.pem",
        ]);
        let chain = ["leaf.pem".to_owned(), by, format!("{root}.pem")];
        let chain: Vec<Vec<u8>> =
            chain.iter().map(|one| fs::read(self.path(one)).unwrap()).collect();
        let path = self.path(&format!("{name}.chain"));
        fs::write(&path, chain.concat()).unwrap();
        path
    }

    /// SHA-256 of a certificate, as a plan pins it.
    pub fn pin(&self, name: &str) -> String {
        let pem = format!("{name}.pem");
        let der = self.openssl(&["x509", "-in", &pem, "-outform", "DER"]);
        record::encoding::Hash::of(&der).to_string()
    }
}
