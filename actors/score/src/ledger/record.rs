//! What one value of the store looks like, so that a damaged one is never taken for a good one.
//!
//! `version (1) | crc32 (4) | length (8) | written_at in µs (8) | payload`, little endian. The sum
//! covers the key and everything but itself.

use jiff::Timestamp;

const VERSION: u8 = 1;
const HEADER: usize = 1 + 4 + 8 + 8;

/// A value that was written whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) written_at: Timestamp,
    pub(super) payload: Vec<u8>,
}

/// Why a value is not what was written under its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum InvalidRecord {
    #[error("its version is not {VERSION}")]
    Version,
    #[error("its length is not the one it names")]
    Length,
    #[error("its checksum does not match")]
    Checksum,
    #[error("its time is none")]
    Time,
}

// === impl Record ===

impl Record {
    /// The bytes to store under `key`.
    pub(super) fn seal(key: &str, payload: &[u8], written_at: Timestamp) -> Vec<u8> {
        let length = u64::try_from(payload.len()).unwrap_or(u64::MAX).to_le_bytes();
        let time = written_at.as_microsecond().to_le_bytes();
        let crc = checksum(key, &[&length, &time, payload]);
        [&[VERSION][..], &crc.to_le_bytes(), &length, &time, payload].concat()
    }

    /// Reads what [`Record::seal`] made for the same key.
    pub(super) fn unseal(key: &str, bytes: &[u8]) -> Result<Self, InvalidRecord> {
        let (header, payload) = bytes.split_at_checked(HEADER).ok_or(InvalidRecord::Length)?;
        let (version, header) = header.split_first().ok_or(InvalidRecord::Length)?;
        if *version != VERSION {
            return Err(InvalidRecord::Version);
        }
        let (crc, header) = header.split_first_chunk::<4>().ok_or(InvalidRecord::Length)?;
        let (length, header) = header.split_first_chunk::<8>().ok_or(InvalidRecord::Length)?;
        let (time, _) = header.split_first_chunk::<8>().ok_or(InvalidRecord::Length)?;
        if usize::try_from(u64::from_le_bytes(*length)) != Ok(payload.len()) {
            return Err(InvalidRecord::Length);
        }
        if u32::from_le_bytes(*crc) != checksum(key, &[length, time, payload]) {
            return Err(InvalidRecord::Checksum);
        }
        let written_at = Timestamp::from_microsecond(i64::from_le_bytes(*time))
            .map_err(|_| InvalidRecord::Time)?;
        Ok(Self { written_at, payload: payload.to_vec() })
    }
}

fn checksum(key: &str, parts: &[&[u8]]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(key.as_bytes());
    // Keys are text: a zero byte ends them, so that no byte can wander from key to value.
    hasher.update(&[0, VERSION]);
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_record_under_another_key_is_not_taken_for_its_own() {
        let bytes = Record::seal("score/tokyo", b"{}", Timestamp::UNIX_EPOCH);
        assert!(Record::unseal("score/tokyo", &bytes).is_ok());
        assert_eq!(Record::unseal("score/osaka", &bytes), Err(InvalidRecord::Checksum));
    }

    proptest! {
        #[test]
        fn a_record_reads_back_and_no_damage_of_up_to_four_bytes_goes_unnoticed(
            payload in proptest::collection::vec(any::<u8>(), 0..64),
            micros in -1_000_000_000_i64..1_000_000_000,
            at in any::<proptest::sample::Index>(),
            flips in proptest::collection::vec(1_u8.., 1..=4),
        ) {
            let written_at = Timestamp::from_microsecond(micros).unwrap();
            let mut bytes = Record::seal("key", &payload, written_at);
            prop_assert_eq!(Record::unseal("key", &bytes), Ok(Record { written_at, payload }));

            let start = at.index(bytes.len());
            for (byte, flip) in bytes.iter_mut().skip(start).zip(flips) {
                *byte ^= flip;
            }
            prop_assert!(Record::unseal("key", &bytes).is_err());
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            prop_assert!(Record::unseal("key", &bytes).is_err());
        }
    }
}
