//! Work on many keys, in several sessions of one login, each on a thread of its own.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use record::{Error, Result};

/// Most sessions that a step opens at once.
pub const MOST_SESSIONS: usize = 64;

/// What `work` makes of each item, in the order of the items. Each thread makes its worker once.
/// After a failure no further item is begun; the first failure in the order of the items is given.
///
/// # Errors
/// What `worker` or `work` ends with; [`Error::Failed`] where a thread died.
pub(super) fn on_threads<T: Sync, W, R: Send>(
    threads: usize,
    items: &[T],
    worker: impl Fn() -> Result<W> + Sync,
    work: impl Fn(&mut W, &T) -> Result<R> + Sync,
) -> Result<Vec<R>> {
    let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
    let fail = || failed.store(true, Ordering::Relaxed);
    let run = || {
        let mut worker = worker().inspect_err(|_| fail())?;
        let mut done = Vec::new();
        while !failed.load(Ordering::Relaxed) {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(at) else { break };
            done.push((at, work(&mut worker, item).inspect_err(|_| fail())));
        }
        Ok(done)
    };
    let threads = threads.clamp(1, MOST_SESSIONS).min(items.len().max(1));
    let ends: Vec<_> = thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
        running.into_iter().map(thread::ScopedJoinHandle::join).collect()
    });
    let (mut done, mut no_worker) = (Vec::new(), None);
    for end in ends {
        match end.map_err(thread_error)? {
            Ok(results) => done.extend(results),
            Err(error) => no_worker = Some(error),
        }
    }
    done.sort_by_key(|(at, _)| *at);
    let results = done.into_iter().map(|(_, result)| result).collect::<Result<Vec<R>>>()?;
    no_worker.map_or(Ok(results), Err)
}

/// Does `ours` in software while the token does `theirs`: where each is to find an RSA key, people
/// wait for one and not for both.
///
/// # Errors
/// What either ends with, `ours` first; [`Error::Failed`] where its thread died.
pub(super) fn meanwhile<A: Send, B>(
    ours: impl FnOnce() -> Result<A> + Send,
    theirs: impl FnOnce() -> Result<B>,
) -> Result<(A, B)> {
    thread::scope(|scope| {
        let ours = scope.spawn(ours);
        let theirs = theirs();
        let ours = ours.join().map_err(thread_error)?;
        Ok((ours?, theirs?))
    })
}

fn thread_error<T>(_: T) -> Error {
    Error::defect("a thread died")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_the_order_of_the_items_and_a_failure_ends_it() {
        let items: Vec<usize> = (0..500).collect();
        let doubled = on_threads(8, &items, || Ok(()), |(), item| Ok(item * 2)).unwrap();
        assert_eq!(doubled, (0..500).map(|item| item * 2).collect::<Vec<_>>());

        let begun = AtomicUsize::new(0);
        let failing = on_threads(
            4,
            &items,
            || Ok(()),
            |(), item| {
                begun.fetch_add(1, Ordering::Relaxed);
                match item {
                    0..7 => Ok(()),
                    _ => Err(Error::failed(format!("item {item}"), "")),
                }
            },
        );
        assert!(failing.unwrap_err().to_string().contains("item 7"));
        assert!(begun.into_inner() < 20);

        let no_worker =
            on_threads(2, &items, || Err::<(), _>(Error::failed("no session", "")), |_, _| Ok(()));
        assert!(no_worker.unwrap_err().to_string().contains("no session"));
    }
}
