//! One share, and its record: 68 bytes, 109 characters.

use data_encoding::BASE32_NOPAD;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use record::encoding::{Fixed, Hash, PackageId, hash};
use record::rule::Rule;
use record::share::{CODE_WORDS, ShareListing, confirm_hash};
use record::{Error, Result};

/// The length of a record, in bytes: version, package id, M, N, x, y, salt.
pub const RECORD: usize = 68;
/// The length of a record's text, in characters of base32 (RFC 4648, section 6) without padding.
pub const TEXT: usize = 109;

const VERSION: u8 = 1;

/// One deal of the seal secret: of which export, and M of N.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Deal {
    /// The export that it belongs to.
    pub package_id: PackageId,
    /// M.
    pub threshold: u8,
    /// N.
    pub count: u8,
}

impl Deal {
    /// Whether there can be such a deal.
    pub(super) fn is_possible(&self) -> bool {
        (2..=self.count).contains(&self.threshold) && self.count <= 16
    }
}

/// One of N parts of the seal secret. Not yet known to be one that was dealt.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Share {
    #[zeroize(skip)]
    deal: Deal,
    x: u8,
    y: [u8; 32],
    salt: [u8; 16],
}

impl Share {
    /// A share as it is dealt.
    pub(super) fn new(deal: Deal, x: u8, y: &[u8; 32], salt: [u8; 16]) -> Self {
        Share { deal, x, y: *y, salt }
    }

    /// Reads a record of exactly 68 bytes.
    ///
    /// # Errors
    /// `SHARE-FORMAT`.
    pub fn from_record(record: &[u8]) -> Result<Self> {
        let record: &[u8; RECORD] =
            record.try_into().map_err(|_| format_error("another length than 68 bytes"))?;
        if record[0] != VERSION {
            return Err(format_error("another version than 1"));
        }
        let mut package_id = Fixed([0; 16]);
        package_id.0.copy_from_slice(&record[1..17]);
        let deal = Deal { package_id, threshold: record[17], count: record[18] };
        let x = record[19];
        if !deal.is_possible() || !(1..=deal.count).contains(&x) {
            return Err(format_error(
                "a threshold, number of shares or number of its own that cannot be",
            ));
        }
        let mut share = Share::new(deal, x, &[0; 32], [0; 16]);
        share.y.copy_from_slice(&record[20..52]);
        share.salt.copy_from_slice(&record[52..]);
        Ok(share)
    }

    /// Reads a record's text, exactly as it is written: 109 upper-case characters of base32.
    ///
    /// # Errors
    /// `SHARE-FORMAT`.
    pub fn parse(text: &[u8]) -> Result<Self> {
        let decoded = BASE32_NOPAD.decode(text).map(Zeroizing::new);
        Share::from_record(
            &decoded.map_err(|_| format_error("text that is not base32 of 109 characters"))?,
        )
    }

    /// The record, 68 bytes.
    pub fn record(&self) -> Zeroizing<[u8; RECORD]> {
        let mut record = Zeroizing::new([0; RECORD]);
        record[0] = VERSION;
        record[1..17].copy_from_slice(&self.deal.package_id.0);
        record[17..20].copy_from_slice(&[self.deal.threshold, self.deal.count, self.x]);
        record[20..52].copy_from_slice(&self.y);
        record[52..].copy_from_slice(&self.salt);
        record
    }

    /// The record's text, 109 characters.
    pub fn text(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(TEXT));
        BASE32_NOPAD.encode_append(self.record().as_slice(), &mut text);
        text
    }

    /// The deal that it is of.
    pub fn deal(&self) -> Deal {
        self.deal
    }

    /// Which share it is, from 1.
    pub fn x(&self) -> u8 {
        self.x
    }

    /// What only a quorum may see.
    pub(super) fn y(&self) -> &[u8; 32] {
        &self.y
    }

    fn hash(&self, label: &std::ffi::CStr) -> Hash {
        hash(
            label,
            &[&self.deal.package_id.0, &u32::from(self.x).to_be_bytes(), &self.salt, &self.y],
        )
    }

    /// What the package lists, so that a wrong share is known at once.
    pub fn commitment(&self) -> Hash {
        self.hash(c"keyferry/1 share")
    }

    /// What its holder reads out to show that it is the right one: 10 bytes, as PGP words. It says
    /// nothing of the share.
    pub fn code(&self) -> [u8; CODE_WORDS] {
        let mut code = [0; CODE_WORDS];
        code.copy_from_slice(&self.hash(c"keyferry/1 code").0[..CODE_WORDS]);
        code
    }

    /// What the package says of it; `file` is the hash of its age file.
    pub fn listing(&self, custodian: &str, file: Hash) -> ShareListing {
        ShareListing {
            custodian: custodian.to_owned(),
            x: self.x,
            commitment: self.commitment(),
            confirm: confirm_hash(&self.deal.package_id, self.x, &self.code()),
            file,
        }
    }
}

fn format_error(found: &str) -> Error {
    Rule::ShareFormat.refuse(
        found,
        "a share as it was dealt",
        "type or scan it again; check that it is a share of this ceremony",
    )
}
