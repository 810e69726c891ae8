//! Waiting for a change in a task.
//!
//! Owns the asynchronous form of `wait`. Waits with `wait::task`. A dropped future has loaded nothing.

use super::{ChangedKeys, TableKeys, TableReader, TableWaitError};
use crate::wait::task;

impl<T: TableKeys + ?Sized> TableReader<T> {
    /// Waits like [`wait`](TableReader::wait); the task sleeps, not the thread. If the future is dropped before it is
    /// ready, nothing has happened.
    ///
    /// # Errors
    ///
    /// See [`TableWaitError`].
    pub async fn wait_async(&mut self, keys: impl ChangedKeys<T>) -> Result<(), TableWaitError> {
        let keys = keys.indices();
        task::coop().await;
        task::ready(&mut self.raw.changes(keys)?).await?;
        if self.raw.mapped.view.forked() { Err(TableWaitError::Forked) } else { Ok(()) }
    }
}
