//! Compressed bodies, decompressed while they arrive.

use std::io::Write as _;

use actix_http::error::PayloadError;
use bytes::buf::Writer;
use bytes::{BufMut as _, Bytes, BytesMut};
use flate2::write::GzDecoder;
use futures_util::{Stream, StreamExt as _, stream};

/// So many compressed bytes are taken at once: what they may grow to stays below 5 MiB, since
/// deflate makes at most 1,032 bytes of one.
const STEP: usize = 4 << 10;

struct Unzip<S> {
    body: S,
    zip: GzDecoder<Writer<BytesMut>>,
    /// What has arrived and was not decompressed yet.
    waiting: Bytes,
    ended: bool,
}

/// Decompresses a body of gzip; one that ends half way fails.
pub(crate) fn unzipped<S>(body: S) -> impl Stream<Item = Result<Bytes, PayloadError>>
where
    S: Stream<Item = Result<Bytes, PayloadError>> + Unpin,
{
    let zip = GzDecoder::new(BytesMut::new().writer());
    let unzip = Unzip { body, zip, waiting: Bytes::new(), ended: false };
    stream::try_unfold(unzip, |mut unzip| async move {
        let next = unzip.next().await?;
        Ok(next.map(|bytes| (bytes, unzip)))
    })
}

// === impl Unzip ===

impl<S> Unzip<S>
where
    S: Stream<Item = Result<Bytes, PayloadError>> + Unpin,
{
    async fn next(&mut self) -> Result<Option<Bytes>, PayloadError> {
        while !self.ended {
            if self.waiting.is_empty() {
                if let Some(chunk) = self.body.next().await.transpose()? {
                    self.waiting = chunk;
                } else {
                    self.zip.try_finish()?;
                    self.ended = true;
                }
            }
            let step = self.waiting.split_to(self.waiting.len().min(STEP));
            self.zip.write_all(&step)?;
            let out = self.zip.get_mut().get_mut();
            if !out.is_empty() {
                return Ok(Some(out.split().freeze()));
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use futures_util::TryStreamExt as _;
    use proptest::prelude::*;

    use super::*;

    fn zipped(plain: &[u8]) -> Vec<u8> {
        let mut zip = GzEncoder::new(Vec::new(), Compression::fast());
        zip.write_all(plain).unwrap();
        zip.finish().unwrap()
    }

    fn through(body: &[u8], chunk: usize) -> Result<(Vec<u8>, usize), PayloadError> {
        let chunks = body.chunks(chunk).map(|chunk| Ok(Bytes::copy_from_slice(chunk)));
        let chunks: Vec<_> = chunks.collect();
        let runtime = actix_rt::System::new();
        let parts: Vec<Bytes> = runtime.block_on(unzipped(stream::iter(chunks)).try_collect())?;
        let longest = parts.iter().map(Bytes::len).max().unwrap_or_default();
        Ok((parts.concat(), longest))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn what_was_compressed_comes_out_in_any_chunks(
            plain in prop::collection::vec(any::<u8>(), 0..20_000),
            chunk in 1_usize..9000,
        ) {
            prop_assert_eq!(through(&zipped(&plain), chunk).unwrap().0, plain);
        }
    }

    #[test]
    fn a_body_that_is_cut_or_is_no_gzip_fails() {
        let whole = zipped(&[b'x'; 10_000]);
        for length in [0, 5, 12, whole.len() - 9, whole.len() - 1] {
            assert!(through(&whole[..length], 7).is_err(), "{length} of {}", whole.len());
        }
        assert!(through(b"not gzip at all", 7).is_err());
        assert!(through(&[whole, b"more".to_vec()].concat(), 7).is_err());
    }

    #[test]
    fn a_bomb_comes_out_in_bounded_pieces() {
        let (plain, longest) = through(&zipped(&vec![0; 50 << 20]), 60_000).unwrap();
        assert_eq!(plain.len(), 50 << 20);
        assert!(longest < 5 << 20, "{longest}");
    }
}
