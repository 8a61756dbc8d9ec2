//! How the values of a record are written, read and shown.

use dialer_types::{
    AttemptId, CampaignId, ContactId, Disposition, LineType, NodeId, Outcome, PlacementId, Purpose,
    RuleId, SellerId, SubjectId, Technology, TrunkId, UnixMillis,
};

use crate::{
    canonical::{CanonicalError, LIST, NINT, Reader, UINT, Writer},
    shown::Shown,
};

/// A value that can stand in a record.
pub(crate) trait Field: Sized {
    /// Appends the canonical item. Not called for an absent value of a map's field.
    fn put(&self, writer: &mut Writer);
    /// Reads the canonical item.
    fn take(reader: &mut Reader<'_>) -> Result<Self, CanonicalError>;
    /// The readable form.
    fn show(&self) -> Shown;
    /// Whether the map leaves the field out.
    fn is_absent(&self) -> bool {
        false
    }
    /// The value of a field left out; `None` where it must be there.
    fn absent() -> Option<Self> {
        None
    }
}

impl<T: Field> Field for Option<T> {
    fn put(&self, writer: &mut Writer) {
        if let Some(value) = self {
            value.put(writer);
        }
    }
    fn take(reader: &mut Reader<'_>) -> Result<Self, CanonicalError> {
        T::take(reader).map(Some)
    }
    fn show(&self) -> Shown {
        self.as_ref().map_or(Shown::Nothing, Field::show)
    }
    fn is_absent(&self) -> bool {
        self.is_none()
    }
    fn absent() -> Option<Self> {
        Some(None)
    }
}

impl<T: Field> Field for Vec<T> {
    fn put(&self, writer: &mut Writer) {
        writer.head(LIST, self.len() as u64);
        for item in self {
            item.put(writer);
        }
    }
    fn take(reader: &mut Reader<'_>) -> Result<Self, CanonicalError> {
        // Not reserved up front: the length is as yet only a claim.
        let length = reader.length(LIST, "a list")?;
        (0..length).map(|_| T::take(reader)).collect()
    }
    fn show(&self) -> Shown {
        Shown::List(self.iter().map(Field::show).collect())
    }
}

macro_rules! unsigned {
    ($($type:ty, $what:literal;)+) => {$(
        impl Field for $type {
            fn put(&self, writer: &mut Writer) {
                writer.head(UINT, u64::from(*self));
            }
            fn take(reader: &mut Reader<'_>) -> Result<Self, CanonicalError> {
                let at = reader.at();
                Self::try_from(reader.unsigned()?)
                    .map_err(|_| CanonicalError::Range { at, what: $what })
            }
            fn show(&self) -> Shown {
                Shown::Int(i64::from(*self))
            }
        }
    )+};
}
unsigned! { u8, "8-bit integer"; u16, "16-bit integer"; u32, "32-bit integer"; }

impl Field for i64 {
    fn put(&self, writer: &mut Writer) {
        match u64::try_from(*self) {
            Ok(value) => writer.head(UINT, value),
            Err(_) => writer.head(NINT, (-1 - *self).unsigned_abs()),
        }
    }
    fn take(reader: &mut Reader<'_>) -> Result<Self, CanonicalError> {
        reader.signed()
    }
    fn show(&self) -> Shown {
        Shown::Int(*self)
    }
}

impl Field for bool {
    fn put(&self, writer: &mut Writer) {
        writer.bool(*self);
    }
    fn take(reader: &mut Reader<'_>) -> Result<Self, CanonicalError> {
        reader.bool()
    }
    fn show(&self) -> Shown {
        Shown::Bool(*self)
    }
}

impl Field for String {
    fn put(&self, writer: &mut Writer) {
        writer.text(self);
    }
    fn take(reader: &mut Reader<'_>) -> Result<Self, CanonicalError> {
        reader.text().map(Self::from)
    }
    fn show(&self) -> Shown {
        Shown::Text(self.clone())
    }
}

impl Field for RuleId {
    fn put(&self, writer: &mut Writer) {
        writer.text(self.as_str());
    }
    fn take(reader: &mut Reader<'_>) -> Result<Self, CanonicalError> {
        reader.text().map(Self::new)
    }
    fn show(&self) -> Shown {
        Shown::Text(self.as_str().to_owned())
    }
}

impl Field for UnixMillis {
    fn put(&self, writer: &mut Writer) {
        self.0.put(writer);
    }
    fn take(reader: &mut Reader<'_>) -> Result<Self, CanonicalError> {
        reader.signed().map(Self)
    }
    fn show(&self) -> Shown {
        Shown::Text(rfc3339(*self))
    }
}

/// RFC 3339 in UTC with milliseconds; beyond the years that can be written, the milliseconds.
pub(crate) fn rfc3339(moment: UnixMillis) -> String {
    chrono::DateTime::from_timestamp_millis(moment.0).map_or_else(
        || moment.0.to_string(),
        |time| time.to_rfc3339_opts(chrono::SecondsFormat::Millis, true),
    )
}

impl Field for SubjectId {
    fn put(&self, writer: &mut Writer) {
        self.0.put(writer);
    }
    fn take(reader: &mut Reader<'_>) -> Result<Self, CanonicalError> {
        reader.signed().map(Self)
    }
    fn show(&self) -> Shown {
        Shown::Int(self.0)
    }
}

/// Exactly `N` bytes.
pub(crate) fn take_array<const N: usize>(
    reader: &mut Reader<'_>,
    what: &'static str,
) -> Result<[u8; N], CanonicalError> {
    let at = reader.at();
    reader.bytes()?.try_into().map_err(|_| CanonicalError::Range { at, what })
}

macro_rules! ids {
    ($($type:ident),+) => {$(
        impl Field for $type {
            fn put(&self, writer: &mut Writer) {
                writer.bytes(&self.0.to_be_bytes());
            }
            fn take(reader: &mut Reader<'_>) -> Result<Self, CanonicalError> {
                take_array(reader, "id of 16 bytes").map(|bytes| Self(u128::from_be_bytes(bytes)))
            }
            fn show(&self) -> Shown {
                Shown::Text(self.to_string())
            }
        }
    )+};
}
ids!(CampaignId, ContactId, NodeId, PlacementId, SellerId, TrunkId);

impl Field for AttemptId {
    fn put(&self, writer: &mut Writer) {
        let mut bytes = [0; 18];
        let (contact, try_no) = bytes.split_at_mut(16);
        contact.copy_from_slice(&self.contact.0.to_be_bytes());
        try_no.copy_from_slice(&self.try_no.to_be_bytes());
        writer.bytes(&bytes);
    }
    fn take(reader: &mut Reader<'_>) -> Result<Self, CanonicalError> {
        let bytes: [u8; 18] = take_array(reader, "attempt id of 18 bytes")?;
        let number = bytes.iter().take(16).fold(0_u128, |sum, byte| sum << 8 | u128::from(*byte));
        let [.., high, low] = bytes;
        Ok(Self { contact: ContactId(number), try_no: u16::from_be_bytes([high, low]) })
    }
    fn show(&self) -> Shown {
        Shown::Text(self.to_string())
    }
}

macro_rules! vocabularies {
    ($($type:ident, $what:literal;)+) => {$(
        impl Field for $type {
            fn put(&self, writer: &mut Writer) {
                writer.head($crate::canonical::UINT, u64::from(self.code()));
            }
            fn take(reader: &mut Reader<'_>) -> Result<Self, CanonicalError> {
                let at = reader.at();
                let code = u8::try_from(reader.unsigned()?).ok();
                code.and_then(Self::from_code).ok_or(CanonicalError::Range { at, what: $what })
            }
            fn show(&self) -> Shown {
                Shown::Text(self.as_str().to_owned())
            }
        }
    )+};
}
pub(crate) use vocabularies;

vocabularies! {
    Disposition, "disposition known to this build";
    LineType, "line type known to this build";
    Outcome, "outcome known to this build";
    Purpose, "purpose known to this build";
    Technology, "technology known to this build";
}

/// Declares a struct whose canonical form is a map with these keys. Keys must be written ascending;
/// the reader insists on it, so a slip fails the round trip test.
macro_rules! map {
    ($($(#[$doc:meta])* $name:ident { $($(#[doc = $fdoc:literal])+ $key:literal => $field:ident: $type:ty,)+ })+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $name { $($(#[doc = $fdoc])+ pub $field: $type,)+ }

        impl $name {
            /// Keys, names, types and meanings of its fields: the layout and the dictionary.
            pub(crate) const LAYOUT: $crate::dictionary::Layout =
                &[$(($key, stringify!($field), stringify!($type), concat!($($fdoc),+)),)+];
        }

        impl $crate::field::Field for $name {
            fn put(&self, writer: &mut $crate::canonical::Writer) {
                let present = 0 $(+ u64::from(!self.$field.is_absent()))+;
                writer.head($crate::canonical::MAP, present);
                $(if !self.$field.is_absent() {
                    writer.head($crate::canonical::UINT, $key);
                    self.$field.put(writer);
                })+
            }

            fn take(
                reader: &mut $crate::canonical::Reader<'_>,
            ) -> Result<Self, $crate::canonical::CanonicalError> {
                use $crate::canonical::CanonicalError;
                $(let mut $field: Option<$type> = None;)+
                let mut least = 0;
                for _ in 0..reader.length($crate::canonical::MAP, "a map")? {
                    let at = reader.at();
                    let key = reader.unsigned()?;
                    if key < least {
                        return Err(CanonicalError::NotCanonical { at, what: "keys out of order" });
                    }
                    least = key.saturating_add(1);
                    match key {
                        $($key => $field = Some($crate::field::Field::take(reader)?),)+
                        _ => return Err(CanonicalError::UnknownField { of: stringify!($name), key }),
                    }
                }
                Ok(Self { $(
                    $field: $field.or_else($crate::field::Field::absent).ok_or(
                        CanonicalError::Missing { of: stringify!($name), field: stringify!($field) },
                    )?,
                )+ })
            }

            fn show(&self) -> $crate::shown::Shown {
                $crate::shown::Shown::Object(vec![
                    $((stringify!($field), $crate::field::Field::show(&self.$field)),)+
                ])
            }
        }
    )+};
}
pub(crate) use map;
