//! The calls of an endpoint: places that are reused, and their deadlines in order.

use std::collections::BTreeSet;
use std::time::Instant;

use crate::call::Call;
use crate::event::CallId;

/// Most ended calls kept for their lingering transactions. At 64*T1 = 32 s each this allows over
/// 30,000 calls a second; without a bound, memory would follow the far end's pace.
const MAX_LINGERING: usize = 1 << 20;

#[derive(Debug, Default)]
struct Place {
    generation: u32,
    call: Option<Box<Call>>,
    deadline: Option<Instant>,
}

#[derive(Debug)]
pub(super) struct Calls {
    places: Vec<Place>,
    free: Vec<u32>,
    deadlines: BTreeSet<(Instant, u32)>,
    max_live: usize,
    live: usize,
    kept: usize,
}

impl Calls {
    pub(super) const fn new(max_live: usize) -> Self {
        Self {
            places: Vec::new(),
            free: Vec::new(),
            deadlines: BTreeSet::new(),
            max_live,
            live: 0,
            kept: 0,
        }
    }

    /// A place for a new call; `None` where there is no room.
    pub(super) fn reserve(&mut self) -> Option<CallId> {
        if self.live >= self.max_live || self.kept - self.live >= MAX_LINGERING {
            return None;
        }
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None => {
                let slot = u32::try_from(self.places.len()).ok()?;
                self.places.push(Place::default());
                slot
            }
        };
        let generation = self.place(slot)?.generation;
        Some(CallId { slot, generation })
    }

    /// Gives a reserved place back.
    pub(super) fn release(&mut self, id: CallId) {
        if let Some(place) = self.place(id.slot) {
            place.generation = place.generation.wrapping_add(1);
            self.free.push(id.slot);
        }
    }

    /// Puts a call into the place reserved for it.
    pub(super) fn begin(&mut self, call: Call) {
        let slot = call.id().slot;
        self.live += 1;
        self.kept += 1;
        if let Some(place) = self.place(slot) {
            place.call = Some(Box::new(call));
        }
        self.schedule(slot);
    }

    fn place(&mut self, slot: u32) -> Option<&mut Place> {
        self.places.get_mut(usize::try_from(slot).ok()?)
    }

    /// The call in a place, whatever its generation.
    pub(super) fn at(&self, slot: u32) -> Option<&Call> {
        self.places.get(usize::try_from(slot).ok()?)?.call.as_deref()
    }

    /// Lets a call act, then sets its deadline anew, or removes it when it is over.
    pub(super) fn with(&mut self, id: CallId, act: impl FnOnce(&mut Call)) {
        let Some(place) = self.place(id.slot).filter(|place| place.generation == id.generation)
        else {
            return;
        };
        let Some(call) = place.call.as_deref_mut() else {
            return;
        };
        let was_live = call.is_live();
        act(call);
        let (is_live, over) = (call.is_live(), call.is_over());
        if was_live && !is_live {
            self.live -= 1;
        }
        if over {
            self.remove(id);
        } else {
            self.schedule(id.slot);
        }
    }

    fn remove(&mut self, id: CallId) {
        if let Some(place) = self.place(id.slot) {
            place.call = None;
            let deadline = place.deadline.take();
            if let Some(deadline) = deadline {
                self.deadlines.remove(&(deadline, id.slot));
            }
            self.kept -= 1;
            self.release(id);
        }
    }

    fn schedule(&mut self, slot: u32) {
        let Some(place) = self.place(slot) else {
            return;
        };
        let next = place.call.as_ref().and_then(|call| call.deadline());
        let old = std::mem::replace(&mut place.deadline, next);
        if old == next {
            return;
        }
        if let Some(old) = old {
            self.deadlines.remove(&(old, slot));
        }
        if let Some(next) = next {
            self.deadlines.insert((next, slot));
        }
    }

    /// Calls with a deadline at or before `now`, each once.
    pub(super) fn due(&self, now: Instant) -> Vec<CallId> {
        let due = self.deadlines.range(..=(now, u32::MAX));
        due.filter_map(|&(_, slot)| self.at(slot).map(Call::id)).collect()
    }

    pub(super) fn all(&self) -> Vec<CallId> {
        self.places.iter().filter_map(|place| place.call.as_ref().map(|call| call.id())).collect()
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|&(deadline, _)| deadline)
    }

    pub(super) const fn live(&self) -> usize {
        self.live
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.kept == 0
    }
}
