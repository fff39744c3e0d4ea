//! A librdkafka producer, as thin as can be: what is measured must be the broker.

use rdkafka_sys as rd;
use std::cell::{RefCell, RefMut};
use std::ffi::{CStr, CString, c_char, c_void};
use std::marker::PhantomData;
use std::ptr;
use std::time::{Duration, Instant};

/// librdkafka's RD_KAFKA_PARTITION_UA: its partitioner chooses.
const PARTITION_UNASSIGNED: i32 = -1;

/// What the delivery reports said so far.
#[derive(Default)]
pub struct Deliveries {
    pub acknowledged: u64,
    pub failed: u64,
    pub last_error: Option<String>,
    /// Nanoseconds from `send` to the report, when asked for.
    pub latencies_ns: Vec<u64>,
    keep_latencies: bool,
    started: Option<Instant>,
}

pub struct Producer {
    client: *mut rd::rd_kafka_t,
    topic: *mut rd::rd_kafka_topic_t,
    // Boxed: librdkafka holds its address for the callback.
    deliveries: Box<RefCell<Deliveries>>,
}

unsafe extern "C" fn on_delivery(
    _: *mut rd::rd_kafka_t,
    message: *const rd::rd_kafka_message_t,
    opaque: *mut c_void,
) {
    // SAFETY: `opaque` is the Deliveries that `Producer::new` boxed, and reports are served only from
    // `poll` on the thread that owns the producer; `message` is valid for the call.
    let (deliveries, message) = unsafe { (&*opaque.cast::<RefCell<Deliveries>>(), &*message) };
    let deliveries = &mut *deliveries.borrow_mut();
    if message.err == rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
        deliveries.acknowledged += 1;
        if deliveries.keep_latencies
            && let Some(started) = deliveries.started
        {
            let sent_ns = message._private as usize as u64;
            deliveries
                .latencies_ns
                .push(started.elapsed().as_nanos() as u64 - sent_ns);
        }
    } else {
        deliveries.failed += 1;
        // SAFETY: librdkafka returns a static string.
        let text = unsafe { CStr::from_ptr(rd::rd_kafka_err2str(message.err)) };
        deliveries.last_error = Some(text.to_string_lossy().into_owned());
    }
}

impl Producer {
    /// # Panics
    /// When librdkafka refuses the configuration: a benchmark has nobody to tell but its user.
    pub fn new(settings: &[(&str, &str)], topic: &str, keep_latencies: bool) -> Producer {
        let deliveries = Box::new(RefCell::new(Deliveries {
            keep_latencies,
            started: Some(Instant::now()),
            ..Default::default()
        }));
        let mut error = [0 as c_char; 512];
        // SAFETY: plain librdkafka set-up; every pointer handed over outlives the call, and the client
        // takes ownership of `conf`.
        unsafe {
            let conf = rd::rd_kafka_conf_new();
            for (key, value) in settings {
                let (k, v) = (CString::new(*key).unwrap(), CString::new(*value).unwrap());
                let answer = rd::rd_kafka_conf_set(
                    conf,
                    k.as_ptr(),
                    v.as_ptr(),
                    error.as_mut_ptr(),
                    error.len(),
                );
                assert!(
                    answer == rd::rd_kafka_conf_res_t::RD_KAFKA_CONF_OK,
                    "{key}={value}: {}",
                    CStr::from_ptr(error.as_ptr()).to_string_lossy()
                );
            }
            rd::rd_kafka_conf_set_opaque(conf, ptr::from_ref(&*deliveries).cast_mut().cast());
            rd::rd_kafka_conf_set_dr_msg_cb(conf, Some(on_delivery));
            let client = rd::rd_kafka_new(
                rd::rd_kafka_type_t::RD_KAFKA_PRODUCER,
                conf,
                error.as_mut_ptr(),
                error.len(),
            );
            assert!(
                !client.is_null(),
                "{}",
                CStr::from_ptr(error.as_ptr()).to_string_lossy()
            );
            let name = CString::new(topic).unwrap();
            let topic = rd::rd_kafka_topic_new(client, name.as_ptr(), ptr::null_mut());
            assert!(!topic.is_null(), "no topic handle");
            Producer {
                client,
                topic,
                deliveries,
            }
        }
    }

    /// What sends from another thread, while this one waits for the reports.
    pub fn sender(&self) -> Sender<'_> {
        Sender {
            topic: self.topic,
            started: self
                .deliveries
                .borrow()
                .started
                .unwrap_or_else(Instant::now),
            producer: PhantomData,
        }
    }

    /// Queues one record; serves delivery reports while the client's own queue is full.
    pub fn send(&self, value: &[u8]) {
        while !self.sender().send(value) {
            self.poll(Duration::from_millis(1));
        }
    }

    /// Serves delivery reports, waiting for at most `wait` when there are none.
    pub fn poll(&self, wait: Duration) {
        // SAFETY: the client is alive as long as `self`.
        unsafe { rd::rd_kafka_poll(self.client, wait.as_millis() as i32) };
    }

    /// Waits until every record sent has its report.
    pub fn flush(&self) -> RefMut<'_, Deliveries> {
        // SAFETY: the client is alive as long as `self`.
        unsafe { rd::rd_kafka_flush(self.client, 120_000) };
        self.deliveries()
    }

    /// What the delivery reports said so far. To be let go before the next [`poll`](Self::poll).
    pub fn deliveries(&self) -> RefMut<'_, Deliveries> {
        self.deliveries.borrow_mut()
    }
}

/// Sends, and touches no delivery report.
pub struct Sender<'a> {
    topic: *mut rd::rd_kafka_topic_t,
    started: Instant,
    producer: PhantomData<&'a Producer>,
}

// SAFETY: librdkafka's handles are for any number of threads; the topic lives as long as the producer.
unsafe impl Send for Sender<'_> {}

impl Sender<'_> {
    /// Queues one record; false when the client's own queue is full.
    pub fn send(&self, value: &[u8]) -> bool {
        let sent_ns = self.started.elapsed().as_nanos() as usize;
        // SAFETY: with F_COPY librdkafka copies the value before it returns.
        let answer = unsafe {
            rd::rd_kafka_produce(
                self.topic,
                PARTITION_UNASSIGNED,
                rd::RD_KAFKA_MSG_F_COPY as i32,
                value.as_ptr().cast_mut().cast(),
                value.len(),
                ptr::null(),
                0,
                sent_ns as *mut c_void,
            )
        };
        answer == 0
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        // SAFETY: both came from librdkafka and are given back once, topic first.
        unsafe {
            rd::rd_kafka_topic_destroy(self.topic);
            rd::rd_kafka_destroy(self.client);
        }
    }
}
