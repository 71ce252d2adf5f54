//! A model of an HGS cluster: what the scripts find, and what each of their steps does to it. The
//! rules are those that the scripts refuse by; that they do is shown beside.

use std::collections::{BTreeMap, BTreeSet};

use super::folder::Folder;
use ceremony::services::TargetStep;
use record::{
    rule::Rule,
    service::{BriefKey, Order, OrderKind},
    terms::{PrimaryKey, Role, Stage},
};

/// Who the KeyProtection application pool runs as.
pub const SERVICE: &str = "FABRIKAM\\hgs-gmsa$";
/// Where a key lies that was left behind.
const SOFTWARE: &str = "Microsoft Software Key Storage Provider";

/// One node.
#[derive(Debug, Clone)]
pub struct Node {
    pub machine: String,
    /// Thumbprints in `LocalMachine\My`.
    pub store: BTreeSet<String>,
    /// Whether `certutil -addstore` puts certificates where the service looks.
    pub stores: bool,
    /// The provider of the key that each certificate is bound to.
    pub bound: BTreeMap<String, String>,
    /// A software key of this certificate was left behind: repairstore binds it first.
    pub left_behind: Option<String>,
    /// Keys that the service's account may read.
    pub read: BTreeSet<String>,
    /// A key whose provider keeps no security descriptor, so that nothing is granted by script.
    pub keeps_no_rights: Option<Role>,
    /// Whether the service's account reads the key of the communications certificate.
    pub communications: bool,
    /// Whether the service's account has a session with the HSM.
    pub session: bool,
    /// Whether the HSM lets imported keys be used: nShield switches them off after 48 hours.
    pub imported_keys: bool,
    /// How far its clock is ahead, in minutes.
    pub ahead: i64,
}

/// What an administrator sees at a node before the service's account proves.
#[derive(Debug, Clone)]
pub struct Seen {
    pub registered: Vec<String>,
    pub primaries: Vec<PrimaryKey>,
    pub diagnostics: Option<String>,
}

/// The cluster: what is known and primary is the same for every node.
#[derive(Debug, Clone)]
pub struct Cluster {
    pub nodes: BTreeMap<String, Node>,
    /// Whether there is a service yet.
    pub service: bool,
    pub known: BTreeSet<(Role, String)>,
    pub primary: BTreeMap<Role, String>,
    /// Whether the service's account may write security audits: without it every cmdlet ends with
    /// HTTP 500.
    pub audits: bool,
    /// Whether one thumbprint is taken for both roles, whatever is asked for.
    pub one_thumbprint: bool,
    /// How many more `Set-HgsKeyProtectionCertificate` succeed, and how many fail after them.
    pub sets: Option<(u32, u32)>,
    /// What the step `diagnose` saw last.
    pub seen: Option<Seen>,
}

impl Cluster {
    /// Nodes with nothing of the ceremony; the service, where there is one, has two primary
    /// certificates.
    pub fn new(nodes: &[String], service: bool) -> Self {
        let node = |(n, name): (usize, &String)| {
            let node = Node {
                machine: format!("HGS0{n}"),
                store: BTreeSet::new(),
                stores: true,
                bound: BTreeMap::new(),
                left_behind: None,
                read: BTreeSet::new(),
                keeps_no_rights: None,
                communications: true,
                session: true,
                imported_keys: true,
                ahead: 0,
            };
            (name.clone(), node)
        };
        let former = [(Role::Signing, "A".repeat(40)), (Role::Encryption, "B".repeat(40))];
        let former = former.into_iter().filter(|_| service);
        Cluster {
            nodes: nodes.iter().enumerate().map(node).collect(),
            service,
            known: former.clone().collect(),
            primary: former.collect(),
            audits: true,
            one_thumbprint: false,
            sets: None,
            seen: None,
        }
    }

    pub fn node(&mut self, name: &str) -> &mut Node {
        self.nodes.get_mut(name).expect("a node of the cluster")
    }

    /// What an administrator sees at a node, whatever it is.
    pub fn see(&self, name: &str, folder: &Folder) -> Seen {
        if !self.service || !self.audits {
            return Seen { registered: Vec::new(), primaries: Vec::new(), diagnostics: None };
        }
        let known = self.known.iter().map(|(_, thumbprint)| thumbprint.clone());
        let registered: BTreeSet<String> = known.collect();
        let primary = |(role, thumbprint): (&Role, &String)| PrimaryKey {
            role: *role,
            thumbprint: thumbprint.clone(),
        };
        Seen {
            registered: registered.into_iter().collect(),
            primaries: self.primary.iter().map(primary).collect(),
            diagnostics: Some(self.diagnostics(name, folder)),
        }
    }

    /// Takes one step of a script at a node. A step that the model does not know fails the test.
    ///
    /// # Errors
    /// The rule by which the script refuses.
    pub fn take(&mut self, step: &TargetStep, name: &str, folder: &Folder) -> Result<(), Rule> {
        match (step.program, step.name) {
            (_, "check-folder") => Ok(()),
            ("Set-KeyferryPrimary.ps1", "check-order") => folder.stands(OrderKind::Activate),
            ("Undo-KeyferryPrimary.ps1", "check-order") => folder.stands(OrderKind::Rollback),
            (_, "check-order") => folder.turn(name),
            (_, "install-certificates") => self.install(name, folder),
            (_, "bind") => self.bind(name, folder),
            (_, "grant") => self.grant(name, folder),
            (_, "register") => self.register(folder),
            (_, "diagnose") => self.diagnose(name, folder),
            (_, "prove") => self.usable(name, folder),
            (_, "record-primaries") => self.record(folder),
            (_, "set-signing" | "restore-signing") => self.set(Role::Signing, folder),
            (_, "set-encryption") => self.set_encryption(folder),
            (_, "restore-encryption") => self.set(Role::Encryption, folder),
            (_, "read-back") => self.read_back(folder),
            (program, name) => panic!("{program} has the step {name}, which the model does not"),
        }
    }

    fn install(&mut self, name: &str, folder: &Folder) -> Result<(), Rule> {
        let node = self.node(name);
        for key in &folder.brief.keys {
            if node.stores {
                node.store.insert(key.thumbprint.clone());
            }
        }
        self.installed(name, folder)
    }

    /// What the scripts look at again and again: each certificate where the service looks for it.
    fn installed(&mut self, name: &str, folder: &Folder) -> Result<(), Rule> {
        let node = self.node(name);
        let mut keys = folder.brief.keys.iter();
        match keys.all(|key| node.store.contains(&key.thumbprint)) {
            true => Ok(()),
            false => Err(Rule::NodeCertificate),
        }
    }

    fn bind(&mut self, name: &str, folder: &Folder) -> Result<(), Rule> {
        self.installed(name, folder)?;
        let node = self.node(name);
        for key in &folder.brief.keys {
            let provider = match node.left_behind.as_ref() == Some(&key.thumbprint) {
                true => Some(SOFTWARE.to_owned()),
                false => folder.brief.ksp.clone().filter(|_| node.imported_keys),
            };
            if let Some(provider) = provider {
                node.bound.insert(key.thumbprint.clone(), provider);
            }
        }
        self.bound(name, folder)
    }

    /// Each certificate is bound to a key of the planned provider that an administrator can open.
    fn bound(&mut self, name: &str, folder: &Folder) -> Result<(), Rule> {
        self.installed(name, folder)?;
        let node = self.node(name);
        let planned = |key: &BriefKey| node.bound.get(&key.thumbprint) == folder.brief.ksp.as_ref();
        match node.imported_keys && folder.brief.keys.iter().all(planned) {
            true => Ok(()),
            false => Err(Rule::NodeBinding),
        }
    }

    fn grant(&mut self, name: &str, folder: &Folder) -> Result<(), Rule> {
        if !self.service {
            return Ok(());
        }
        let node = self.node(name);
        for key in &folder.brief.keys {
            if node.keeps_no_rights != Some(key.role) {
                node.read.insert(key.thumbprint.clone());
            }
        }
        self.usable(name, folder)
    }

    /// The service's account itself opens each key of the planned provider.
    fn usable(&mut self, name: &str, folder: &Folder) -> Result<(), Rule> {
        self.bound(name, folder)?;
        let service = self.service;
        let node = self.node(name);
        let mut keys = folder.brief.keys.iter();
        let all = keys.all(|key| node.read.contains(&key.thumbprint));
        match !service || all && node.session {
            true => Ok(()),
            false => Err(Rule::NodeGrant),
        }
    }

    fn register(&mut self, folder: &Folder) -> Result<(), Rule> {
        if !self.service {
            return Ok(());
        }
        self.answers()?;
        let thumbprints = self.taken(folder);
        self.known.extend(thumbprints);
        self.registered(folder)
    }

    /// What the service takes when both certificates are added.
    fn taken(&self, folder: &Folder) -> BTreeMap<Role, String> {
        let mut ours = folder.ours();
        if self.one_thumbprint {
            let signing = ours[&Role::Signing].clone();
            ours.insert(Role::Encryption, signing);
        }
        ours
    }

    fn answers(&self) -> Result<(), Rule> {
        match self.audits {
            true => Ok(()),
            false => Err(Rule::NodeService),
        }
    }

    fn registered(&self, folder: &Folder) -> Result<(), Rule> {
        let ours = folder.ours();
        match ours.into_iter().all(|key| self.known.contains(&key)) {
            true => Ok(()),
            false => Err(Rule::NodeRegistered),
        }
    }

    fn diagnose(&mut self, name: &str, folder: &Folder) -> Result<(), Rule> {
        self.bound(name, folder)?;
        self.seen = Some(self.see(name, folder));
        if !self.service {
            return Ok(());
        }
        self.answers()?;
        self.registered(folder)?;
        let ours = folder.ours();
        let right = match (folder.stage(), folder.standing()) {
            (Stage::Active, _) => self.primary == ours,
            (Stage::Ready, Some(order)) => self.primary == former(order),
            (Stage::Ready, None) => !ours.iter().any(|(role, key)| self.primary[role] == *key),
        };
        if !right {
            return Err(Rule::NodePrimary);
        }
        match self.diagnostics(name, folder).contains("Pass") {
            true => Ok(()),
            false => Err(Rule::NodeDiagnostic),
        }
    }

    /// What `Get-HgsTrace -RunDiagnostics -Detailed` says: it looks at the keys of the primary
    /// certificates and at its own.
    fn diagnostics(&self, name: &str, folder: &Folder) -> String {
        let node = &self.nodes[name];
        let mut primary = self.primary.values();
        let ours = folder.ours();
        let reads = primary.all(|key| {
            !ours.values().any(|our| our == key) || node.read.contains(key) && node.session
        });
        match reads && node.communications {
            true => "Overall Result: Pass\n  a node of the model".into(),
            false => "Overall Result: Fail\n  the service cannot read a private key".into(),
        }
    }

    /// Before anything is set: what is primary is what officers saw, or half of what this script
    /// does.
    fn record(&mut self, folder: &Folder) -> Result<(), Rule> {
        let order = folder.standing().expect("an order stands");
        let (wanted, before) = folder.change(order);
        if !self.service {
            // Initialize-HgsServer, with both thumbprints, is for a person to run.
            self.service = true;
            self.known.extend(wanted.clone());
            self.primary = wanted.clone();
        }
        self.answers()?;
        if !wanted.clone().into_iter().all(|key| self.known.contains(&key)) {
            return Err(Rule::NodeRegistered);
        }
        let mut now = self.primary.iter();
        let ours_or_before =
            |(role, key): (&Role, &String)| wanted[role] == *key || before.get(role) == Some(key);
        match now.all(ours_or_before) {
            true => Ok(()),
            false => Err(Rule::NodePrimary),
        }
    }

    /// One `Set-HgsKeyProtectionCertificate … -IsPrimary`, read back.
    fn set(&mut self, role: Role, folder: &Folder) -> Result<(), Rule> {
        let (wanted, _) = folder.change(folder.standing().expect("an order stands"));
        self.make_primary(role, &wanted[&role])
    }

    fn make_primary(&mut self, role: Role, thumbprint: &str) -> Result<(), Rule> {
        if self.primary.get(&role).is_some_and(|now| now == thumbprint) {
            return Ok(());
        }
        self.answers()?;
        match &mut self.sets {
            Some((0, failing @ 1..)) => {
                *failing -= 1;
                return Err(Rule::NodePrimary);
            }
            Some((left @ 1.., _)) => *left -= 1,
            _ => {}
        }
        if !self.known.contains(&(role, thumbprint.to_owned())) {
            return Err(Rule::NodePrimary);
        }
        self.primary.insert(role, thumbprint.to_owned());
        Ok(())
    }

    /// The second of the two: where it fails, the first is put back.
    fn set_encryption(&mut self, folder: &Folder) -> Result<(), Rule> {
        let set = self.set(Role::Encryption, folder);
        if set.is_err() {
            let former = former(folder.standing().expect("an order stands"));
            // Half a change that cannot be undone either is told exactly; the rule is the same.
            let _ = self.make_primary(Role::Signing, &former[&Role::Signing]);
        }
        set
    }

    fn read_back(&mut self, folder: &Folder) -> Result<(), Rule> {
        self.answers()?;
        let (wanted, _) = folder.change(folder.standing().expect("an order stands"));
        match self.primary == wanted {
            true => Ok(()),
            false => Err(Rule::NodePrimary),
        }
    }
}

/// What an order names as former, by role.
pub fn former(order: &Order) -> BTreeMap<Role, String> {
    let one = |key: &PrimaryKey| (key.role, key.thumbprint.clone());
    order.former.iter().map(one).collect()
}
