//! What can go wrong at an HGS cluster: each is done to the model, and mended again.

use super::{cluster::Cluster, folder::Folder};
use record::terms::Role;

/// One thing that goes wrong, and stays wrong until somebody mends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Fault {
    /// The service's account may not read the signing key, and its provider is not told so by a
    /// script.
    SigningUnreadable,
    /// The same of the encryption key.
    EncryptionUnreadable,
    /// The service's account may not read the key of the communications certificate.
    CommunicationsUnreadable,
    /// The certificates are in `CurrentUser\My`, and so not on this node for the service.
    CurrentUser,
    /// A software key of the signing certificate was left behind, and is bound in place of the
    /// HSM's.
    SoftwareKey,
    /// The signing certificate's thumbprint is used for encryption too.
    OneThumbprint,
    /// The service's account lacks SeAuditPrivilege.
    NoAudits,
    /// The service was restarted, and has no session with the HSM since.
    NoSession,
    /// 48 hours have passed, and the HSM no longer lets imported keys be used.
    KeysOff,
    /// The node's clock is an hour ahead.
    ClockAhead,
}

impl Fault {
    pub const ALL: [Fault; 10] = [
        Fault::SigningUnreadable,
        Fault::EncryptionUnreadable,
        Fault::CommunicationsUnreadable,
        Fault::CurrentUser,
        Fault::SoftwareKey,
        Fault::OneThumbprint,
        Fault::NoAudits,
        Fault::NoSession,
        Fault::KeysOff,
        Fault::ClockAhead,
    ];

    /// It happens now, at this node.
    pub fn happens(self, cluster: &mut Cluster, name: &str, folder: &Folder) {
        let ours = folder.ours();
        let (signing, encryption) = (&ours[&Role::Signing], &ours[&Role::Encryption]);
        let unreadable = |cluster: &mut Cluster, role: Role| {
            let node = cluster.node(name);
            node.read.remove(&ours[&role]);
            node.keeps_no_rights = Some(role);
        };
        match self {
            Fault::SigningUnreadable => unreadable(cluster, Role::Signing),
            Fault::EncryptionUnreadable => unreadable(cluster, Role::Encryption),
            Fault::CommunicationsUnreadable => cluster.node(name).communications = false,
            Fault::CurrentUser => {
                cluster.node(name).store.clear();
                cluster.node(name).stores = false;
            }
            Fault::SoftwareKey => {
                let node = cluster.node(name);
                node.left_behind = Some(signing.clone());
                if let Some(provider) = node.bound.get_mut(signing) {
                    *provider = "Microsoft Software Key Storage Provider".into();
                }
            }
            Fault::OneThumbprint => {
                cluster.one_thumbprint = true;
                if cluster.known.remove(&(Role::Encryption, encryption.clone())) {
                    cluster.known.insert((Role::Encryption, signing.clone()));
                }
            }
            Fault::NoAudits => cluster.audits = false,
            Fault::NoSession => cluster.node(name).session = false,
            Fault::KeysOff => cluster.node(name).imported_keys = false,
            Fault::ClockAhead => cluster.node(name).ahead = 60,
        }
    }

    /// Somebody mends it.
    pub fn is_mended(self, cluster: &mut Cluster, name: &str, folder: &Folder) {
        let ours = folder.ours();
        let node = cluster.node(name);
        node.communications = true;
        node.store.extend(ours.values().cloned());
        node.stores = true;
        node.left_behind = None;
        node.keeps_no_rights = None;
        node.session = true;
        node.imported_keys = true;
        node.ahead = 0;
        cluster.audits = true;
        if cluster.one_thumbprint {
            cluster.one_thumbprint = false;
            cluster.known.extend(ours);
        }
    }
}
