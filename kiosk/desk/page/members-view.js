// Who else is in the talk: names, states, and small pictures. Each colleague is heard from its own tile.
import { say, write } from "./words.js";

const LOOK_EVERY_MS = 500;
const STILL_LOOKS = 4; // a picture that has stood still for so long is not shown any more

const byId = (id) => document.getElementById(id);
const tiles = new Map(); // user id → Tile

class Tile {
  constructor(userId) {
    this.line = document.createElement("li");
    this.line.dataset.testid = "member";
    this.line.dataset.userId = userId;
    this.video = Object.assign(document.createElement("video"), { autoplay: true, playsInline: true });
    this.video.volume = byId("volume").valueAsNumber;
    this.name = document.createElement("span");
    this.name.className = "name";
    this.state = document.createElement("span");
    this.state.className = "hint";
    this.line.append(this.video, this.name, " ", this.state);
    Object.assign(this, { frames: 0, still: STILL_LOOKS });
  }

  draw({ name, state, remote }) {
    this.name.textContent = name;
    this.state.textContent = say(`member_${state}`);
    this.line.dataset.state = state;
    this.video.ariaLabel = say("member_picture", { name });
    if (this.video.srcObject !== remote) this.video.srcObject = remote;
    this.drawPicture();
  }

  look() {
    const frames = this.video.getVideoPlaybackQuality().totalVideoFrames;
    this.still = frames === this.frames ? this.still + 1 : 0;
    this.frames = frames;
    this.drawPicture();
  }

  drawPicture() {
    const shown = this.still < STILL_LOOKS && this.video.srcObject?.getVideoTracks().length > 0;
    this.line.dataset.picture = shown;
    this.video.ariaHidden = String(!shown);
  }
}

export function wireMembers() {
  byId("volume").addEventListener("input", ({ target }) => {
    for (const { video } of tiles.values()) video.volume = target.valueAsNumber;
  });
  setInterval(() => { for (const tile of tiles.values()) tile.look(); }, LOOK_EVERY_MS);
}

// Tiles stay where they are in the page: a video that is moved stops.
export function drawMembers(mesh) {
  const members = mesh.isOpen ? mesh.members() : [];
  const ids = new Set(members.map(({ userId }) => userId));
  for (const [userId, { line, video }] of tiles) {
    if (ids.has(userId)) continue;
    video.srcObject = null;
    line.remove();
    tiles.delete(userId);
  }
  for (const member of members) {
    if (!tiles.has(member.userId)) {
      const tile = new Tile(member.userId);
      tiles.set(member.userId, tile);
      byId("members").append(tile.line);
    }
    tiles.get(member.userId).draw(member);
  }
  byId("group").hidden = members.length === 0;
  const cut = members.filter(({ state }) => state === "interrupted").map(({ name }) => name);
  write("members-warning", cut.length ? say("members_interrupted", { names: cut.join(", ") }) : "");
}
