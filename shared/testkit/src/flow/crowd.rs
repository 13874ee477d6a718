//! Concurrent invocations. They run one step at a time, in an order drawn from the seed.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use super::faults::locked;

pub(crate) type Task<T> = Pin<Box<dyn Future<Output = T>>>;

/// Yields to the other tasks once.
pub(crate) async fn yield_once() {
    let mut yielded = false;
    poll_fn(|context| {
        if yielded {
            return Poll::Ready(());
        }
        yielded = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Whether a task can continue, and the waker to call when it can.
#[derive(Default)]
struct Alarm {
    rung: AtomicBool,
    outer: Mutex<Option<Waker>>,
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.rung.store(true, Ordering::Relaxed);
        if let Some(outer) = locked(&self.outer).take() {
            outer.wake();
        }
    }
}

struct Member<M, T> {
    about: M,
    task: Task<T>,
    alarm: Arc<Alarm>,
}

/// The tasks in progress, each with a description.
pub(crate) struct Crowd<M, T> {
    members: Vec<Member<M, T>>,
}

impl<M, T> Crowd<M, T> {
    pub(crate) fn new() -> Self {
        Self {
            members: Vec::new(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    pub(crate) fn join(&mut self, about: M, task: Task<T>) {
        let alarm = Alarm {
            rung: AtomicBool::new(true),
            outer: Mutex::default(),
        };
        self.members.push(Member {
            about,
            task,
            alarm: Arc::new(alarm),
        });
    }

    /// The places of the tasks that can continue.
    pub(crate) fn ready(&self) -> impl Iterator<Item = usize> {
        self.members
            .iter()
            .enumerate()
            .filter_map(|(place, member)| {
                member.alarm.rung.load(Ordering::Relaxed).then_some(place)
            })
    }

    /// Runs one step of a task. Returns its result if this was its last step.
    pub(crate) fn step(&mut self, place: usize) -> Option<(M, T)> {
        let member = self.members.get_mut(place)?;
        member.alarm.rung.store(false, Ordering::Relaxed);
        let waker = Waker::from(Arc::clone(&member.alarm));
        match member.task.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Pending => None,
            Poll::Ready(ended) => Some((self.members.swap_remove(place).about, ended)),
        }
    }

    /// Ends a task at its current step, as the death of a process does: the rest of it does not run.
    pub(crate) fn kill(&mut self, place: usize) -> Option<M> {
        (place < self.members.len()).then(|| self.members.swap_remove(place).about)
    }

    /// Ends all tasks of this description at their current steps.
    pub(crate) fn kill_where(&mut self, ends: impl Fn(&M) -> bool) -> Vec<M> {
        let ended = self.members.extract_if(.., |member| ends(&member.about));
        ended.map(|member| member.about).collect()
    }

    /// Waits until at least one task can continue.
    pub(crate) async fn wait(&self) {
        poll_fn(|context| {
            for member in &self.members {
                *locked(&member.alarm.outer) = Some(context.waker().clone());
            }
            if self.ready().next().is_some() {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }
}
