//! A simulated prefix cache: how much of a prompt was seen before, in whole blocks.
//!
//! As in vLLM, a block is known by everything up to its end, so that only a common beginning
//! counts. Only hashes are kept, and only this many.

use std::collections::{HashSet, VecDeque};
use std::hash::{DefaultHasher, Hasher};
use std::sync::{Mutex, PoisonError};

/// Bytes of a block: 16 tokens of four bytes.
const BLOCK_BYTES: usize = 64;
/// Tokens of a block.
const BLOCK_TOKENS: u32 = 16;
/// Blocks kept, about a million tokens; the oldest make room.
const KEPT: usize = 1 << 16;

/// The blocks seen so far. A mutex, as the connections are many tasks; held for one prompt.
#[derive(Debug, Default)]
pub(crate) struct PrefixCache(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    blocks: HashSet<u64>,
    oldest_first: VecDeque<u64>,
}

impl PrefixCache {
    /// How many tokens at the beginning of `prompt` were seen; from now on all of it has been.
    pub(crate) fn see(&self, prompt: &[u8]) -> u32 {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut so_far = DefaultHasher::new();
        let (mut cached, mut all_seen) = (0, true);
        for block in prompt.chunks_exact(BLOCK_BYTES) {
            so_far.write(block);
            all_seen &= !seen.insert(so_far.finish());
            if all_seen {
                cached += BLOCK_TOKENS;
            }
        }
        cached
    }
}

impl Seen {
    /// Whether it is new.
    fn insert(&mut self, block: u64) -> bool {
        let new = self.blocks.insert(block);
        if new {
            self.oldest_first.push_back(block);
            if self.oldest_first.len() > KEPT
                && let Some(oldest) = self.oldest_first.pop_front()
            {
                self.blocks.remove(&oldest);
            }
        }
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_blocks_of_a_common_beginning_count() {
        let cache = PrefixCache::default();
        let mut prompt = vec![b'a'; 64];
        prompt.extend([b'b'; 64]);
        prompt.extend([b'c'; 40]);
        assert_eq!(cache.see(&prompt), 0);
        assert_eq!(cache.see(&prompt), 32, "the last 40 bytes are no block");
        assert_eq!(cache.see(&prompt[..100]), 16);
        prompt[70] = b'x';
        assert_eq!(cache.see(&prompt), 16, "the second block differs");
        prompt[0] = b'x';
        assert_eq!(cache.see(&prompt), 0, "no block is known without its beginning");
    }

    #[test]
    fn the_oldest_blocks_make_room() {
        let cache = PrefixCache::default();
        assert_eq!(cache.see(&[b'a'; 64]), 0);
        assert_eq!(cache.see(&vec![b'x'; 64 * KEPT]), 0);
        assert_eq!(cache.see(&[b'a'; 64]), 0, "forgotten");
        assert_eq!(cache.0.lock().unwrap().blocks.len(), KEPT);
    }
}
