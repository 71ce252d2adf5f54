//! How keys come to where they are used, and what becomes of the originals.

use crate::encoding::Hash;
use crate::terms::Id;

named! {
    /// In which HSM the keys are born.
    #[derive(Default)]
    pub enum Origin {
        /// The tenant's.
        #[default]
        Tenant = "tenant",
        /// The hoster's; nothing secret travels.
        Hoster = "hoster",
    }
}

named! {
    /// In which form keys of the tenant's reach the hoster.
    #[derive(Default)]
    pub enum Form {
        /// Keyferry's package, sealed.
        #[default]
        Package = "package",
        /// A plain wrapped key that another tool has made (CKM_RSA_AES_KEY_WRAP; PKCS#11 v3.1, 6.1.27).
        Pkcs11 = "pkcs11",
    }
}

named! {
    /// How keys come to where they are used: which documents and steps a ceremony has.
    #[derive(Default)]
    pub enum TransferRoute {
        /// Born in the tenant's HSM, wrapped, sealed, and carried to the hoster's.
        #[default]
        Carried = "carried",
        /// Born in the hoster's HSM.
        Born = "born",
        /// Born in the tenant's HSM, wrapped by another tool, and brought to the hoster's.
        Brought = "brought",
        /// Born in the tenant's HSM, and wrapped for a cloud service, which imports them itself.
        Cloud = "cloud",
    }
}

impl TransferRoute {
    /// Whether it is the usual one, which logs do not name.
    pub fn is_usual(&self) -> bool {
        *self == TransferRoute::default()
    }

    /// Whether the tenant takes the hoster's word on which keys there are, and asks for proofs:
    /// then its own HSM takes no part.
    pub fn is_challenged(self) -> bool {
        matches!(self, TransferRoute::Born | TransferRoute::Brought)
    }
}

named! {
    /// The form in which a cloud service takes wrapped keys.
    pub enum CloudFormat {
        /// Azure Key Vault's `.byok`.
        AzureByok = "azure-byok",
        /// AWS KMS, RSA_AES_KEY_WRAP_SHA_256 or _SHA_1.
        AwsKms = "aws-kms",
        /// Google Cloud KMS, RSA_OAEP_…_AES_256.
        GcpKms = "gcp-kms",
    }
}

impl CloudFormat {
    /// The name of the file of a wrapped key.
    pub fn file_name(self, label: &Id) -> String {
        let end = match self {
            CloudFormat::AzureByok => "byok",
            CloudFormat::AwsKms | CloudFormat::GcpKms => "bin",
        };
        format!("{label}.{end}")
    }
}

/// A rehearsal on the real HSMs and nodes with throwaway keys, which stops before activation and
/// removes what it made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trial {
    /// None is asked for.
    None,
    /// This ceremony is one; a rehearsal only.
    This,
    /// One must have gone before: SHA-256 of its closing; production only.
    After(Hash),
}

named! {
    /// What an HGS cluster has when the keys come.
    pub enum Deployment {
        /// Nothing yet.
        New = "new",
        /// Other keys, which stay primary elsewhere.
        Added = "added",
        /// Former primaries.
        Rotation = "rotation",
    }
}

named! {
    /// What becomes of the tenant's originals.
    #[derive(Default)]
    pub enum Originals {
        /// They stay in the tenant's HSM.
        #[default]
        Keep = "keep",
        /// They are destroyed after acceptance.
        Destroy = "destroy",
    }
}

named! {
    /// When a node proves a key.
    pub enum Stage {
        /// Before the key is primary.
        Ready = "ready",
        /// After.
        Active = "active",
    }
}
