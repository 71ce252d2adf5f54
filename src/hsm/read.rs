//! Reading attributes, whatever the module says of their lengths.

use cryptoki_sys::*;

use crate::{
    TokenSession,
    attribute::{Attribute, Value},
    layout::{Member, bytes_of},
    raw::Object,
};
use record::Result;

/// More than any attribute that Keyferry reads but a certificate (the modulus of RSA-4096 has 512
/// bytes).
const MOST_BYTES: usize = 8 * 1024;
/// More than any certificate that Keyferry stores.
pub(super) const MOST_CERTIFICATE: usize = 64 * 1024;
/// More members than any list attribute that Keyferry sets has.
const MOST_MEMBERS: usize = 32;

impl TokenSession<'_> {
    /// Reads one attribute in the shape of `like`; `None` where the token does not have or show it.
    ///
    /// # Errors
    /// [`record::Error::Hsm`] where the object does not even answer its class, so that a token that
    /// fell silent is not taken for one that lacks an attribute.
    pub fn read(&self, object: Object, like: &Attribute) -> Result<Option<Value>> {
        let most = match &like.value {
            Value::Flag(_) => 1,
            Value::Number(_) => size_of::<CK_ULONG>(),
            Value::Bytes(_) => MOST_BYTES,
            Value::Mechanisms(_) => MOST_MEMBERS * size_of::<CK_MECHANISM_TYPE>(),
            Value::Template(members) => {
                return Ok(self.read_template(object, like.kind, members)?.map(Value::Template));
            }
        };
        let bytes = self.read_bytes(object, like.kind, most)?;
        Ok(bytes.and_then(|bytes| like.value.like(&bytes)))
    }

    /// Whether the object has this attribute with this value.
    pub fn is(&self, object: Object, wanted: &Attribute) -> Result<bool> {
        let value = self.read(object, wanted)?;
        Ok(value.is_some_and(|value| value.same(&wanted.value)))
    }

    /// Reads an attribute of at most `most` bytes by one call into a buffer of ours; a longer one
    /// is none.
    pub fn read_bytes(
        &self,
        object: Object,
        kind: CK_ATTRIBUTE_TYPE,
        most: usize,
    ) -> Result<Option<Vec<u8>>> {
        // Words, not bytes: some modules write a CK_ULONG through a pointer that they take as
        // aligned.
        let mut words = vec![0; most.div_ceil(size_of::<CK_ULONG>())];
        let length = self.get_words(object, kind, &mut words, most)?;
        Ok(length.map(|length| {
            let mut value = bytes_of(&words);
            value.truncate(length);
            value
        }))
    }

    /// Reads an array of attributes: its length, then one call into prepared members. Their types
    /// are set beforehand, in the order of `like`, because some tokens want to be told them.
    fn read_template(
        &self,
        object: Object,
        kind: CK_ATTRIBUTE_TYPE,
        like: &[Attribute],
    ) -> Result<Option<Vec<Attribute>>> {
        let Some(length) = self.get_length(object, kind)? else {
            return Ok(None);
        };
        let count = length / size_of::<CK_ATTRIBUTE>();
        if length % size_of::<CK_ATTRIBUTE>() != 0 || count > MOST_MEMBERS {
            return Ok(None);
        }
        let types = like.iter().map(|attribute| attribute.kind).chain([0].into_iter().cycle());
        let mut members: Vec<_> = types.take(count).map(Member::of).collect();
        if !self.get_members(object, kind, &mut members)? {
            return Ok(None);
        }
        Ok(members.iter().map(|member| member.attribute(like)).collect())
    }
}
