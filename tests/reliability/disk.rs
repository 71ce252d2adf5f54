//! A disk that loses what was not synced: each file and each folder as it is, and as it was when it
//! was last waited for.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use crate::trace::Op;

/// The folders of a stage that programs write.
const ROOTS: [&str; 5] = ["tenant", "hoster", "mirror-tenant", "mirror-hoster", "medium"];

enum Node {
    File { data: Vec<u8>, synced: Vec<u8> },
    Folder { names: BTreeMap<String, usize>, synced: BTreeMap<String, usize> },
}

/// What is left of the disk after an interruption.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// Everything: the program was killed, the machine runs on.
    All,
    /// Names and bytes as they were last synced.
    Synced,
    /// Every name, but only the bytes that were synced.
    Names,
    /// Every byte, but only the names that were synced.
    Bytes,
    /// Every name; of bytes that were not synced, half.
    Torn,
}

impl Left {
    pub const EACH: [Left; 5] = [Left::All, Left::Synced, Left::Names, Left::Bytes, Left::Torn];
}

pub struct Disk {
    nodes: Vec<Node>,
    root: usize,
    /// The state that the HSM is in.
    pub device: Option<usize>,
}

/// Files by their paths, folders as `None`.
pub type Tree = BTreeMap<PathBuf, Option<Vec<u8>>>;

impl Disk {
    /// A stage's disk, all of it synced.
    pub fn of(root: &Path) -> Disk {
        let mut disk = Disk { nodes: Vec::new(), root: 0, device: None };
        disk.root = disk.load(root, true);
        disk
    }

    fn load(&mut self, path: &Path, top: bool) -> usize {
        let node = if path.is_dir() {
            let mut names = BTreeMap::new();
            for entry in fs::read_dir(path).unwrap() {
                let name = entry.unwrap().file_name().into_string().unwrap();
                if !top || ROOTS.contains(&name.as_str()) {
                    let node = self.load(&path.join(&name), false);
                    names.insert(name, node);
                }
            }
            Node::Folder { synced: names.clone(), names }
        } else {
            let data = fs::read(path).unwrap();
            Node::File { synced: data.clone(), data }
        };
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    fn find(&self, path: &Path) -> usize {
        let mut at = self.root;
        for name in path {
            at = match &self.nodes[at] {
                Node::Folder { names, .. } => names[name.to_str().unwrap()],
                Node::File { .. } => panic!("{} is below a file", path.display()),
            };
        }
        at
    }

    fn folder_of(&mut self, path: &Path) -> (&mut BTreeMap<String, usize>, String) {
        let at = self.find(path.parent().unwrap());
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        match &mut self.nodes[at] {
            Node::Folder { names, .. } => (names, name),
            Node::File { .. } => panic!("{} is below a file", path.display()),
        }
    }

    fn make(&mut self, path: &Path, node: Node) {
        self.nodes.push(node);
        let made = self.nodes.len() - 1;
        let (names, name) = self.folder_of(path);
        names.insert(name, made);
    }

    fn take(&mut self, path: &Path) -> usize {
        let (names, name) = self.folder_of(path);
        names.remove(&name).unwrap()
    }

    pub fn apply(&mut self, op: &Op) {
        match op {
            Op::Create(path) => {
                let (names, name) = self.folder_of(path);
                if !names.contains_key(&name) {
                    self.make(path, Node::File { data: Vec::new(), synced: Vec::new() });
                }
            }
            Op::Mkdir(path) => {
                self.make(path, Node::Folder { names: BTreeMap::new(), synced: BTreeMap::new() });
            }
            Op::Append(path, bytes) => match self.at(path) {
                Node::File { data, .. } => data.extend(bytes),
                Node::Folder { .. } => panic!("a folder was written"),
            },
            Op::Truncate(path, length) => match self.at(path) {
                Node::File { data, .. } => data.truncate(*length),
                Node::Folder { .. } => panic!("a folder was cut"),
            },
            Op::Sync(path) => match self.at(path) {
                Node::File { data, synced } => synced.clone_from(data),
                Node::Folder { names, synced } => synced.clone_from(names),
            },
            Op::Rename(from, to) => {
                let node = self.take(from);
                let (names, name) = self.folder_of(to);
                names.insert(name, node);
            }
            Op::Unlink(path) | Op::Rmdir(path) => drop(self.take(path)),
            Op::Device(state) => self.device = Some(*state),
        }
    }

    fn at(&mut self, path: &Path) -> &mut Node {
        let at = self.find(path);
        &mut self.nodes[at]
    }

    /// What is found when the machine is used again.
    pub fn left(&self, left: Left) -> Tree {
        let mut tree = Tree::new();
        self.collect(self.root, Path::new(""), left, &mut tree);
        tree
    }

    fn collect(&self, at: usize, path: &Path, left: Left, tree: &mut Tree) {
        match &self.nodes[at] {
            Node::File { data, synced } => {
                let bytes = match left {
                    Left::All | Left::Bytes => data.clone(),
                    Left::Synced | Left::Names => synced.clone(),
                    Left::Torn if data.starts_with(synced) => {
                        data[..synced.len() + (data.len() - synced.len()) / 2].to_vec()
                    }
                    Left::Torn => data.clone(),
                };
                tree.insert(path.to_owned(), Some(bytes));
            }
            Node::Folder { names, synced } => {
                tree.insert(path.to_owned(), None);
                let names = match left {
                    Left::All | Left::Names | Left::Torn => names,
                    Left::Synced | Left::Bytes => synced,
                };
                for (name, node) in names {
                    self.collect(*node, &path.join(name), left, tree);
                }
            }
        }
    }
}

/// Tells trees apart.
pub fn digest(tree: &Tree) -> [u8; 32] {
    let mut digest = Sha256::new();
    for (path, bytes) in tree {
        let path = path.as_os_str().as_encoded_bytes();
        digest.update([u8::from(bytes.is_some())]);
        for bytes in [path, bytes.as_deref().unwrap_or_default()] {
            digest.update(bytes.len().to_be_bytes());
            digest.update(bytes);
        }
    }
    digest.finalize().into()
}

/// Puts what is left in the place of what a stage has.
pub fn put(tree: &Tree, root: &Path) {
    for name in ROOTS {
        let _ = fs::remove_dir_all(root.join(name));
    }
    for (path, bytes) in tree {
        match bytes {
            Some(bytes) => fs::write(root.join(path), bytes).unwrap(),
            None => fs::create_dir_all(root.join(path)).unwrap(),
        }
    }
}
