//! A pod's end of a connection, whatever it is made of: TCP, a Unix socket, TLS over TCP.
//!
//! Owns how such an end is read, written, closed and reset. Knows no message.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf, ReadHalf, WriteHalf};
use tokio::net::{TcpStream, UnixStream, tcp, unix};
use tokio_rustls::server::TlsStream;

/// How long a client may take to make room for the last word of TLS. (TCP's own needs none.)
const FAREWELL: Duration = Duration::from_secs(1);

/// What a pod has connected with.
#[derive(Debug)]
pub(super) enum Socket {
    /// To the proxy's port.
    Tcp(TcpStream),
    /// To the proxy's socket in a directory.
    Unix(UnixStream),
}

/// The end that is read from.
#[derive(Debug)]
pub(super) enum ReadEnd {
    Tcp(tcp::OwnedReadHalf),
    Unix(unix::OwnedReadHalf),
    Tls(ReadHalf<TlsStream<Resumed>>),
}

/// The end that is written to.
#[derive(Debug)]
pub(super) enum WriteEnd {
    Tcp(tcp::OwnedWriteHalf),
    Unix(unix::OwnedWriteHalf),
    Tls(WriteHalf<TlsStream<Resumed>>),
}

/// A connection of which something has been read already.
#[derive(Debug)]
pub(super) struct Resumed {
    read: Bytes,
    stream: TcpStream,
}

impl Socket {
    pub fn split(self) -> (ReadEnd, WriteEnd) {
        match self {
            Self::Tcp(stream) => {
                let _ = stream.set_nodelay(true);
                let (read, write) = stream.into_split();
                (ReadEnd::Tcp(read), WriteEnd::Tcp(write))
            }
            Self::Unix(stream) => {
                let (read, write) = stream.into_split();
                (ReadEnd::Unix(read), WriteEnd::Unix(write))
            }
        }
    }
}

/// The connection as one again, with what has been read of it, to speak TLS on it; `None` where that is
/// not spoken: inside TLS and on a Unix socket.
pub(super) fn resume(read: ReadEnd, write: WriteEnd, input: &mut BytesMut) -> Option<Resumed> {
    match (read, write) {
        (ReadEnd::Tcp(read), WriteEnd::Tcp(write)) => Some(Resumed {
            read: input.split().freeze(),
            stream: read.reunite(write).ok()?,
        }),
        _ => None,
    }
}

/// Lets the connection end with a reset. (A Unix socket knows none: its other end reads an end of
/// stream.)
pub(super) fn reset(read: ReadEnd, write: WriteEnd) {
    let at_once = |stream: &TcpStream| {
        let _ = socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO));
    };
    match (read, write) {
        (ReadEnd::Tcp(read), WriteEnd::Tcp(write)) => {
            if let Ok(stream) = read.reunite(write) {
                at_once(&stream);
            }
        }
        (ReadEnd::Tls(read), WriteEnd::Tls(write)) if read.is_pair_of(&write) => {
            at_once(&read.unsplit(write).get_ref().0.stream);
        }
        _ => {}
    }
}

impl ReadEnd {
    /// Whether TLS may be begun on it.
    pub fn may_begin_tls(&self) -> bool {
        matches!(self, Self::Tcp(_))
    }
}

impl WriteEnd {
    /// Says that nothing more comes, within a bound.
    pub async fn end(&mut self) {
        let _ = tokio::time::timeout(FAREWELL, self.shutdown()).await;
    }

    /// Writes of these bytes what there is room for or, without any, what TLS has taken but not passed
    /// on yet. Says how many bytes it has taken.
    pub async fn push(&mut self, bytes: &mut BytesMut) -> io::Result<usize> {
        if bytes.is_empty() {
            return self.flush().await.map(|()| 0);
        }
        self.write_buf(bytes).await
    }

    /// Whether bytes that were taken may still have to be passed on.
    pub fn keeps_back(&self) -> bool {
        matches!(self, Self::Tls(_))
    }
}

impl AsyncRead for ReadEnd {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(read) => Pin::new(read).poll_read(context, buffer),
            Self::Unix(read) => Pin::new(read).poll_read(context, buffer),
            Self::Tls(read) => match Pin::new(read).poll_read(context, buffer) {
                // A process that was killed says no farewell: its end is the same without TLS.
                Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    Poll::Ready(Ok(()))
                }
                polled => polled,
            },
        }
    }
}

impl AsyncWrite for WriteEnd {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(write) => Pin::new(write).poll_write(context, bytes),
            Self::Unix(write) => Pin::new(write).poll_write(context, bytes),
            Self::Tls(write) => Pin::new(write).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(write) => Pin::new(write).poll_flush(context),
            Self::Unix(write) => Pin::new(write).poll_flush(context),
            Self::Tls(write) => Pin::new(write).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(write) => Pin::new(write).poll_shutdown(context),
            Self::Unix(write) => Pin::new(write).poll_shutdown(context),
            Self::Tls(write) => Pin::new(write).poll_shutdown(context),
        }
    }
}

impl AsyncRead for Resumed {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let own = self.get_mut();
        if own.read.is_empty() {
            return Pin::new(&mut own.stream).poll_read(context, buffer);
        }
        let take = own.read.len().min(buffer.remaining());
        buffer.put_slice(&own.read[..take]);
        own.read.advance(take);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Resumed {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}
