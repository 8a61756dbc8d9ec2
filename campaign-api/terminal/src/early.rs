//! An API that answers early and closes while we still send: its answer lies in the socket, but
//! ureq gives up at the write that fails. Here such a write passes, so that the answer is read.

use std::{
    io::{self, Read},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use ureq::{
    Error,
    unversioned::transport::{Buffers, ConnectionDetails, Connector, NextTimeout, Transport},
};

/// Whether the other end stopped reading what we send.
#[derive(Debug, Clone, Default)]
pub(crate) struct Deaf(Arc<AtomicBool>);

impl Deaf {
    pub(crate) fn forget(&self) {
        self.0.store(false, Ordering::Relaxed);
    }

    pub(crate) fn is_so(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Wraps what it is chained to.
#[derive(Debug)]
pub(crate) struct EarlyConnector(pub(crate) Deaf);

impl<In: Transport> Connector<In> for EarlyConnector {
    type Out = Early<In>;

    fn connect(
        &self,
        _: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Early<In>>, Error> {
        Ok(chained.map(|inner| Early { inner, deaf: self.0.clone(), broken: false }))
    }
}

/// A connection on which nothing is sent any more once the other end stopped reading.
#[derive(Debug)]
pub(crate) struct Early<In> {
    inner: In,
    deaf: Deaf,
    broken: bool,
}

impl<In: Transport> Transport for Early<In> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.inner.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        if self.broken {
            return Ok(());
        }
        match self.inner.transmit_output(amount, timeout) {
            Err(Error::Io(error)) if is_closed(&error) => {
                self.broken = true;
                self.deaf.0.store(true, Ordering::Relaxed);
                Ok(())
            }
            other => other,
        }
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.inner.await_input(timeout)
    }

    fn is_open(&mut self) -> bool {
        !self.broken && self.inner.is_open()
    }

    fn is_tls(&self) -> bool {
        self.inner.is_tls()
    }
}

fn is_closed(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset};
    matches!(error.kind(), BrokenPipe | ConnectionReset | ConnectionAborted)
}

/// A body that ends when nobody reads it any more: gigabytes need not be read for nobody.
pub(crate) struct Heard<'a>(pub(crate) &'a mut dyn Read, pub(crate) Deaf);

impl Read for Heard<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.1.is_so() { Ok(0) } else { self.0.read(buffer) }
    }
}
