//! Checks of single fields, shared by all conversions.

use std::time::Duration;

use regatta_types::ids::InstanceId;

use crate::error::{At, ConvertError, Problem};

pub(crate) type Checked<T> = Result<T, ConvertError>;

/// A required message.
pub(crate) fn required<M, T>(field: &str, message: Option<M>) -> Checked<T>
where
    T: TryFrom<M, Error = ConvertError>,
{
    let message = message.ok_or_else(|| ConvertError::new(field, Problem::Missing))?;
    T::try_from(message).at(field)
}

/// A message that may be absent.
pub(crate) fn optional<M, T>(field: &str, message: Option<M>) -> Checked<Option<T>>
where
    T: TryFrom<M, Error = ConvertError>,
{
    message.map(|m| T::try_from(m).at(field)).transpose()
}

/// A list of messages; errors name the index.
pub(crate) fn list<M, T>(field: &str, messages: Vec<M>, max: usize) -> Checked<Vec<T>>
where
    T: TryFrom<M, Error = ConvertError>,
{
    let len = messages.len();
    if len > max {
        return Err(ConvertError::new(field, Problem::TooMany { len, max }));
    }
    messages
        .into_iter()
        .enumerate()
        .map(|(i, m)| T::try_from(m).map_err(|e| (i, e)))
        .collect::<Result<_, _>>()
        .map_err(|(i, e)| ConvertError {
            path: format!("{field}[{i}].{}", e.path),
            problem: e.problem,
        })
}

/// Encodes a list of values.
pub(crate) fn encoded<'a, T, M: From<&'a T>>(values: &'a [T]) -> Vec<M> {
    values.iter().map(M::from).collect()
}

/// What an agent of an earlier version would not have sent is not sent.
pub(crate) fn told<'a, T: Default + PartialEq, M: From<&'a T>>(value: &'a T) -> Option<M> {
    (*value != T::default()).then(|| value.into())
}

/// A slug.
pub(crate) fn slug<T>(field: &str, text: String) -> Checked<T>
where
    T: TryFrom<String>,
    Problem: From<T::Error>,
{
    T::try_from(text).map_err(|e| ConvertError::new(field, e.into()))
}

/// A text within its limit.
pub(crate) fn text(field: &str, text: String, max: usize) -> Checked<String> {
    let len = text.len();
    if len <= max { Ok(text) } else { Err(ConvertError::new(field, Problem::TooLong { len, max })) }
}

/// Cuts a text for people to its limit, between characters.
pub(crate) fn cut(text: &str, max: usize) -> String {
    text[..text.floor_char_boundary(max)].to_owned()
}

/// An agent instance.
pub(crate) fn instance(field: &str, text: &str) -> Checked<InstanceId> {
    text.parse().map_err(|_| ConvertError::new(field, Problem::Uuid))
}

/// The hex SHA-256 of an answer, or nothing.
pub(crate) fn hex_sha256(field: &str, text: String) -> Checked<String> {
    let digits = text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    if digits && matches!(text.len(), 0 | 64) {
        Ok(text)
    } else {
        Err(ConvertError::new(field, Problem::Sha256))
    }
}

/// A finite number.
pub(crate) fn finite(field: &str, number: f64) -> Checked<f64> {
    if number.is_finite() { Ok(number) } else { Err(ConvertError::new(field, Problem::NotFinite)) }
}

/// A number narrowed to its type, or within a range that `range` spells out.
pub(crate) fn within<T>(
    field: &str,
    number: T,
    allowed: impl std::ops::RangeBounds<T>,
    range: &'static str,
) -> Checked<T>
where
    T: PartialOrd,
{
    if allowed.contains(&number) {
        Ok(number)
    } else {
        Err(ConvertError::new(field, Problem::OutOfRange(range)))
    }
}

/// An HTTP status.
pub(crate) fn http_status(field: &str, status: Option<u32>) -> Checked<Option<u16>> {
    const RANGE: &str = "100 to 999";
    status
        .map(|s| match u16::try_from(s) {
            Ok(s @ 100..=999) => Ok(s),
            Ok(_) | Err(_) => Err(ConvertError::new(field, Problem::OutOfRange(RANGE))),
        })
        .transpose()
}

/// A duration as nanoseconds; longer ones than the wire holds (584 years) become the longest.
pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// An enum of the vocabulary that has a counterpart in the contract.
pub(crate) trait Numbered: Sized {
    /// Reads the number of a field.
    fn read(field: &str, number: i32) -> Checked<Self>;
    /// The number of this value.
    fn number(self) -> i32;
}

/// Pairs an enum with the generated enum of the same variants.
macro_rules! numbered {
    ($value:ident = $twin:path { $($variant:ident),+ $(,)? }) => {
        impl $crate::field::Numbered for $value {
            fn read(field: &str, number: i32) -> $crate::field::Checked<Self> {
                use $twin as Twin;
                match Twin::try_from(number) {
                    $(Ok(Twin::$variant) => Ok(Self::$variant),)+
                    Ok(Twin::Unspecified) | Err(_) => Err($crate::ConvertError::new(
                        field,
                        $crate::Problem::Enum(number),
                    )),
                }
            }

            fn number(self) -> i32 {
                use $twin as Twin;
                i32::from(match self {
                    $(Self::$variant => Twin::$variant,)+
                })
            }
        }
    };
}
pub(crate) use numbered;
