// The mesh of a group talk: a connection with each of the other seats, so that everybody hears and sees everybody. With
// the bed each seat has a connection of its own (call.js); nothing is passed on.
//
// The desk says who is in (`members`). Who joins offers to those that talk already, so one of each two is the one that
// offers: it offers anew while nothing comes of it, and when the connection is lost. The other one waits for that, and
// offers only when nothing comes. Nothing is offered or answered before one's own accept has been confirmed.
//
//               offer comes        answer comes   connected    lost, or nothing for 5 s     left, or the end
// no link       answered           -              -            -                            -
// offering      theirs or ours*    completed      talking      offers anew                  closed
// answering     answered anew      -              talking      waits for an offer           closed
// talking       answered anew      -              -            as it began: offers / waits  closed
//
// * Of two offers that cross, that of the lower user id stands.
//
// A desk that was restarted learns its talks one after the other: a connection that carries is kept though the desk
// does not list its seat, until the desk says that the seat has left, or until it carries no more.
import { MemberLink } from "./member-link.js";

const OFFER_AGAIN_MS = 500;
const OFFER_INSTEAD_MS = 8000; // who offered would have done so twice by then

export class Mesh {
  // `call` is the page's one call, told by `follow`; `send` puts a message on the wire; `changed` is told after every
  // change, `told` who is asked, has joined or has left: "asked", "joined" or the wire's reason, and the name.
  constructor({ call, send, changed, told }) {
    Object.assign(this, { call, send, changed, told });
    this.known = new Map(); // user id → name
    this.begin(null);
  }

  begin(callId) {
    this.callId = callId;
    this.listed = new Map(); // user id → state of everybody else, as the desk says
    this.talks = false; // the desk says so of this seat
    this.pairs = new Map(); // user id → { link, offers, due: one should hear the other by now }
    this.introduced = false; // we have offered to those that were in before us
    this.pictures = null;
    this.hadCompany = false;
  }

  get isOpen() {
    return this.call.confirmed && this.call.acceptedId !== null;
  }

  // Somebody else talks with the same bed, or did when this seat's part ended.
  get company() {
    return this.hadCompany || this.members().some(({ state }) => state !== "ringing");
  }

  // Who talks with the bed, in words.
  get names() {
    return [...this.listed.keys()].filter((userId) => this.listed.get(userId) === "talking")
      .map((userId) => this.name(userId)).join(", ");
  }

  // Everybody else, those that the desk lists first: { userId, name, state, remote }.
  members() {
    const heard = [...this.pairs.keys()].filter((userId) => this.pairs.get(userId).link.connected);
    return [...new Set([...this.listed.keys(), ...heard])].map((userId) => ({
      userId,
      name: this.name(userId),
      state: this.state(userId),
      remote: this.pairs.get(userId)?.link.remote ?? null,
    }));
  }

  // Of somebody who is in the talk or is asked in, else "".
  stateOf(userId) {
    if (userId === this.call.me) return "talking";
    return this.members().find((member) => member.userId === userId)?.state ?? "";
  }

  state(userId) {
    const pair = this.pairs.get(userId);
    if (pair?.link.connected) return "talking";
    if (pair?.due) return "interrupted";
    return this.listed.get(userId) === "ringing" ? "ringing" : "connecting";
  }

  name(userId) {
    return this.known.get(userId) ?? userId;
  }

  // After every change of the call.
  follow() {
    const { call } = this;
    if (call.id === null) return this.end();
    if (call.id !== this.callId) {
      this.end();
      this.begin(call.id);
      this.list(call.incoming.members ?? []);
    }
    if (!this.isOpen) return;
    const dropsPictures = this.pictures && !call.isVideo;
    this.pictures = call.isVideo;
    this.introduce();
    if (dropsPictures) for (const userId of [...this.pairs.keys()]) this.offerTo(userId);
  }

  end() {
    if (this.callId === null) return;
    const hadCompany = this.company;
    for (const { link, timer } of this.pairs.values()) {
      clearTimeout(timer);
      link.close();
    }
    this.begin(null);
    this.hadCompany = hadCompany;
  }

  list(members) {
    const states = new Map(members.map(({ user_id, state }) => [user_id, state]));
    this.talks = states.get(this.call.me) === "talking";
    states.delete(this.call.me);
    this.listed = states;
    for (const { user_id, name } of members) this.known.set(user_id, name || user_id);
  }

  // -- what the desk says

  membersAre({ call_id, members, left }) {
    if (this.call.id !== call_id) return;
    const before = this.listed;
    this.list(members);
    if (left) {
      this.drop(left.user_id);
      this.told(left.reason, this.name(left.user_id));
    }
    for (const [userId, state] of this.listed) {
      if (state === "ringing" && !before.has(userId)) this.told("asked", this.name(userId));
      if (state === "talking" && before.get(userId) === "ringing") this.told("joined", this.name(userId));
    }
    for (const [userId, { link, offers }] of [...this.pairs]) {
      if (!this.listed.has(userId) && !link.connected) link.close();
      if (offers && link.closed) this.offerTo(userId);
    }
    this.introduce();
    this.changed();
  }

  // The first list in which we talk has everybody that was in before; who comes later offers to us.
  introduce() {
    if (this.introduced || !this.talks || !this.isOpen) return;
    this.introduced = true;
    if (!this.call.joined) return;
    for (const userId of this.listed.keys()) if (!this.pairs.has(userId)) this.offerTo(userId);
  }

  offered({ call_id, user_id, sdp }) {
    if (this.call.id !== call_id || !this.isOpen) return;
    if (this.pairs.get(user_id)?.link.isOffering && this.call.me < user_id) return;
    this.connect(user_id, { offers: false }).answer(sdp);
  }

  answered({ call_id, user_id, sdp }) {
    const link = this.linkOf(call_id, user_id);
    if (link?.isOffering) link.answered(sdp);
  }

  candidate({ call_id, user_id, ...candidate }) {
    this.linkOf(call_id, user_id)?.candidate(candidate);
  }

  linkOf(callId, userId) {
    return this.call.id === callId ? this.pairs.get(userId)?.link : undefined;
  }

  // -- the connections

  offerTo(userId) {
    if (this.listed.get(userId) === "talking") this.connect(userId, { offers: true }).offer();
  }

  connect(userId, { offers }) {
    const { call } = this;
    const before = this.pairs.get(userId);
    const due = !!before?.due && !before.link.connected; // one that carries is only exchanged
    this.drop(userId);
    const link = new MemberLink({
      iceServers: call.iceServers,
      pictures: call.isVideo,
      own: call.own,
      signal: (type, message) => this.send({ type, call_id: call.id, user_id: userId, ...message }),
      changed: () => this.linkChanged(userId),
      lost: () => this.lost(userId),
    });
    this.pairs.set(userId, { link, offers, due });
    this.changed();
    return link;
  }

  linkChanged(userId) {
    const pair = this.pairs.get(userId);
    if (pair?.link.connected) pair.due = true;
    this.changed();
  }

  lost(userId) {
    const pair = this.pairs.get(userId);
    pair.link.close();
    pair.due = true;
    pair.timer = setTimeout(() => this.offerTo(userId), pair.offers ? OFFER_AGAIN_MS : OFFER_INSTEAD_MS);
    this.changed();
  }

  drop(userId) {
    const pair = this.pairs.get(userId);
    clearTimeout(pair?.timer);
    pair?.link.close();
    this.pairs.delete(userId);
  }
}
