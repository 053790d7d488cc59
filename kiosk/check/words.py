"""What a self-test found, in words for a technician.

Pure. Every code that a judge can give has its sentence here in both languages, with the same figures in it.
"""

from __future__ import annotations

from kiosk.check.findings import Finding, Part, Verdict

PARTS: dict[Part, dict[str, str]] = {
    Part.BUTTON: {"en": "button", "zh": "按钮"},
    Part.LAMP: {"en": "lamp", "zh": "指示灯"},
    Part.RELAY: {"en": "relay", "zh": "继电器"},
    Part.MICROPHONE: {"en": "microphone", "zh": "麦克风"},
    Part.SPEAKER: {"en": "speaker", "zh": "扬声器"},
    Part.CAMERA: {"en": "camera", "zh": "摄像头"},
    Part.NETWORK: {"en": "network", "zh": "网络"},
    Part.TIME: {"en": "time", "zh": "时间"},
    Part.DESK: {"en": "desk", "zh": "护士站服务"},
    Part.TURN: {"en": "TURN", "zh": "中继服务器"},
    Part.DISK: {"en": "disk", "zh": "存储"},
}

VERDICTS: dict[Verdict, dict[str, str]] = {
    Verdict.OK: {"en": "in order", "zh": "正常"},
    Verdict.WARNING: {"en": "LOOK AT IT", "zh": "请留意"},
    Verdict.FAULT: {"en": "FAULT", "zh": "故障"},
    Verdict.SKIPPED: {"en": "not tested", "zh": "未测试"},
}

SENTENCES: dict[str, dict[str, str]] = {
    # -- pins
    "pins_unusable": {"en": "{why}", "zh": "引脚无法使用：{why}"},
    "button_at_rest": {
        "en": "{name}: at rest; whether a press arrives shows only when it is pressed (--press)",
        "zh": "{name}：未按下；能否收到按键，需实际按一次才知道（--press）",
    },
    "button_supervised": {"en": "{name}: at rest, its line is whole", "zh": "{name}：未按下，线路完好"},
    "button_down": {
        "en": "{name}: is down all the time: stuck, or its line has a short circuit",
        "zh": "{name}：一直处于按下状态：按钮卡住或线路短路",
    },
    "button_line_open": {
        "en": "{name}: its line is open all the time: the cord is pulled, a wire is broken, or the button is stuck",
        "zh": "{name}：线路一直断开：插头脱落、导线断裂或按钮卡住",
    },
    "button_pressed": {"en": "{name}: the press came after {seconds} s", "zh": "{name}：{seconds} 秒后收到按键"},
    "button_not_pressed": {
        "en": "{name}: no press came within {seconds} s: was it pressed? Look at its plug and its wires",
        "zh": "{name}：{seconds} 秒内没有收到按键：是否按过？请检查插头和导线",
    },
    "lamp_seen": {"en": "lights, and goes out", "zh": "能点亮，也能熄灭"},
    "lamp_unseen": {
        "en": "its pin follows; whether it gives light nobody was asked",
        "zh": "引脚响应正常；是否真的发光，无人确认",
    },
    "lamp_seen_dark": {
        "en": "its pin follows, but nobody saw light: look at the LED and its wires",
        "zh": "引脚响应正常，但没有看到灯亮：请检查灯和导线",
    },
    "lamp_stays_dark": {
        "en": "its pin stays low when it is switched on: short circuit, or a broken driver",
        "zh": "打开时引脚仍为低电平：短路或驱动损坏",
    },
    "lamp_stays_lit": {
        "en": "its pin stays high when it is switched off: short circuit, or a broken driver",
        "zh": "关闭时引脚仍为高电平：短路或驱动损坏",
    },
    "relay_none": {"en": "there is none (relay.pin)", "zh": "没有安装（relay.pin）"},
    "relay_not_switched": {
        "en": "open, as it must be; it was not switched, because that calls in the other nurse call (--relay)",
        "zh": "处于断开状态，正确；未做动作测试，因为动作会触发另一套呼叫系统（--relay）",
    },
    "relay_heard": {
        "en": "closes and opens; the other nurse call rang",
        "zh": "能吸合和断开；另一套呼叫系统已响铃",
    },
    "relay_unheard": {
        "en": "its pin follows; whether the other nurse call rang nobody was asked",
        "zh": "引脚响应正常；另一套呼叫系统是否响铃，无人确认",
    },
    "relay_not_heard": {
        "en": "its pin follows, but the other nurse call did not ring: look at the relay and its wires",
        "zh": "引脚响应正常，但另一套呼叫系统没有响铃：请检查继电器和导线",
    },
    "relay_stays_open": {
        "en": "its pin does not close it: short circuit, or a broken driver",
        "zh": "引脚无法使其吸合：短路或驱动损坏",
    },
    "relay_stays_closed": {
        "en": "is closed when it must be open, and calls in the other nurse call: relay.active_high? wires?",
        "zh": "应断开时仍吸合，会一直触发另一套呼叫系统：请检查 relay.active_high 和导线",
    },
    # -- sound and picture
    "device_off": {"en": "switched off in the settings", "zh": "已在设置中关闭"},
    "device_missing": {"en": "there is none: {why}", "zh": "找不到设备：{why}"},
    "device_fault": {"en": "{why}", "zh": "设备故障：{why}"},
    "device_needs_lamp": {
        "en": "nothing is captured while the lamp cannot show it: mend the lamp first",
        "zh": "指示灯无法亮起时不采集声音和图像：请先修好指示灯",
    },
    "microphone_ok": {
        "en": "hears; the room is at {noise_dbfs} dBFS",
        "zh": "能听到声音；环境噪声 {noise_dbfs} dBFS",
    },
    "microphone_silent": {
        "en": "delivers nothing: is it plugged in, and used by nobody else?",
        "zh": "没有送出任何声音：是否已插好？是否被占用？",
    },
    "microphone_dead": {
        "en": "delivers only silence, not even noise: muted, or unplugged?",
        "zh": "只有绝对静音，连噪声也没有：是否被静音或拔出？",
    },
    "speaker_ok": {
        "en": "its chirp was heard {loss_db} dB below what was played, after {delay_ms} ms",
        "zh": "已听到测试音，比播放低 {loss_db} dB，延迟 {delay_ms} 毫秒",
    },
    "speaker_weak": {
        "en": "its chirp was hardly heard: {loss_db} dB below what was played, after {delay_ms} ms; covered?",
        "zh": "测试音几乎听不到，比播放低 {loss_db} dB，延迟 {delay_ms} 毫秒：音量太小或被遮住？",
    },
    "speaker_late": {
        "en": "its chirp was heard late, after {delay_ms} ms ({loss_db} dB below what was played)",
        "zh": "测试音延迟过大：{delay_ms} 毫秒（比播放低 {loss_db} dB），通话会受影响",
    },
    "speaker_unheard": {
        "en": "the microphone hears the room, but not the speaker's chirp: unplugged, switched off, volume?",
        "zh": "麦克风能听到环境声，但听不到扬声器的测试音：是否未插好、未开机或音量为零？",
    },
    "speaker_takes_nothing": {"en": "takes no sound: is it plugged in?", "zh": "不接收声音：是否已插好？"},
    "speaker_unjudged": {
        "en": "cannot be judged without a microphone that hears",
        "zh": "没有可用的麦克风，无法判断",
    },
    "camera_ok": {
        "en": "gives pictures of {width} x {height}, brightness {brightness} %",
        "zh": "图像正常：{width} x {height}，亮度 {brightness} %",
    },
    "camera_dim": {
        "en": "gives pictures of {width} x {height}, but dim ones: brightness {brightness} %",
        "zh": "有图像（{width} x {height}），但太暗：亮度 {brightness} %",
    },
    "camera_no_picture": {
        "en": "gives no picture: is it plugged in, and used by nobody else?",
        "zh": "没有图像：是否已插好？是否被占用？",
    },
    "camera_black": {
        "en": "gives black pictures: is the lens covered, or is it dark in the room?",
        "zh": "图像全黑：镜头是否被遮住？房间是否太暗？",
    },
    "camera_white": {
        "en": "gives white pictures: does light shine into the lens?",
        "zh": "图像全白：是否有强光直射镜头？",
    },
    "camera_blank": {
        "en": "gives empty pictures, all of one grey: is the lens covered, or the camera broken?",
        "zh": "图像为单一灰色：镜头是否被遮住？摄像头是否损坏？",
    },
    "camera_frozen": {"en": "gives the same picture again and again", "zh": "图像停住不动"},
    # -- around
    "network_ok": {"en": "{addresses}", "zh": "{addresses}"},
    "network_this_machine": {
        "en": "no address but this machine's own, where the desk is",
        "zh": "只有本机地址；护士站服务就在本机",
    },
    "network_none": {
        "en": "no address: is the cable in, is the Wi-Fi joined?",
        "zh": "没有网络地址：网线是否插好？是否已连接 Wi-Fi？",
    },
    "network_down": {
        "en": "no way out, {interfaces} is down: is the cable in, is the Wi-Fi joined?",
        "zh": "网络不通，{interfaces} 未连接：网线是否插好？是否已连接 Wi-Fi？",
    },
    "network_address_missing": {
        "en": "media.interfaces names {address}, which this machine has not (it has {addresses})",
        "zh": "media.interfaces 指定了 {address}，但本机没有该地址（本机：{addresses}）",
    },
    "time_ok": {"en": "right (against the desk: {skew_s:+} s)", "zh": "准确（与护士站服务相差 {skew_s:+} 秒）"},
    "time_off": {
        "en": "{skew_s:+} s against the desk: look at the time server",
        "zh": "与护士站服务相差 {skew_s:+} 秒：请检查时间服务器",
    },
    "time_wrong": {
        "en": "{skew_s:+} s against the desk: certificates and tickets will be refused; look at the time server",
        "zh": "与护士站服务相差 {skew_s:+} 秒：证书和凭证会被拒绝，请检查时间服务器",
    },
    "time_right_not_kept": {
        "en": "right (against the desk: {skew_s:+} s), but no time server keeps it so",
        "zh": "目前准确（与护士站服务相差 {skew_s:+} 秒），但没有时间服务器校准",
    },
    "time_kept": {
        "en": "kept by a time server; the desk did not tell its own",
        "zh": "由时间服务器校准；未能与护士站服务比对",
    },
    "time_not_kept": {
        "en": "kept by no time server, and the desk did not tell its own",
        "zh": "没有时间服务器校准，也未能与护士站服务比对",
    },
    "time_unknown": {"en": "neither desk nor system tell whether it is right", "zh": "无法判断是否准确"},
    "desk_ok": {"en": "lets this bed in ({url})", "zh": "登录成功（{url}）"},
    "desk_unreachable": {"en": "cannot be reached at {url}: {why}", "zh": "无法连接 {url}：{why}"},
    "desk_refuses": {"en": "{url} refuses this bed: {why}", "zh": "{url} 拒绝登录：{why}"},
    "certificate_ok": {"en": "its certificate is good for {days} days", "zh": "证书还有 {days} 天有效"},
    "certificate_ends": {
        "en": "its certificate is good for {days} days only: renew it at the desk",
        "zh": "证书只剩 {days} 天：请在护士站服务更新",
    },
    "user_sig_ok": {"en": "this bed's UserSig is good for {days} days", "zh": "本床 UserSig 还有 {days} 天有效"},
    "user_sig_ends": {
        "en": "this bed's UserSig is good for {days} days only: get a new one (kiosk desk usersig)",
        "zh": "本床 UserSig 只剩 {days} 天：请更换（kiosk desk usersig）",
    },
    "user_sig_expired": {
        "en": "this bed's UserSig expired {days} days ago: get a new one (kiosk desk usersig)",
        "zh": "本床 UserSig 已过期 {days} 天：请更换（kiosk desk usersig）",
    },
    "user_sig_unreadable": {"en": "{why}", "zh": "UserSig 无法读取：{why}"},
    "turn_none": {"en": "none is named: media go directly", "zh": "未设置：媒体直连"},
    "turn_unknown": {
        "en": "the desk, which names them, cannot be reached",
        "zh": "无法连接护士站服务，不知道服务器地址",
    },
    "turn_needed": {
        "en": "media.relay_only is set, and no TURN server is known: no call will have a path",
        "zh": "已设置 media.relay_only，但没有中继服务器：通话无法建立",
    },
    "turn_ok": {"en": "all {number} answer", "zh": "{number} 个全部应答"},
    "turn_some_silent": {
        "en": "of {number} these do not answer: {servers}",
        "zh": "{number} 个中以下没有应答：{servers}",
    },
    "turn_all_silent": {"en": "none answers: {servers}", "zh": "全部没有应答：{servers}"},
    "disk_ok": {
        "en": "the journal can be written in {sync_ms} ms; {free_mb} MB are free",
        "zh": "日志写入需 {sync_ms} 毫秒；剩余 {free_mb} MB",
    },
    "disk_low": {
        "en": "only {free_mb} MB are free (written in {sync_ms} ms)",
        "zh": "只剩 {free_mb} MB（写入需 {sync_ms} 毫秒）",
    },
    "disk_slow": {
        "en": "slow: {sync_ms} ms until something is really on it ({free_mb} MB free); a worn card?",
        "zh": "写入慢：{sync_ms} 毫秒（剩余 {free_mb} MB）；存储卡是否老化？",
    },
    "disk_too_slow": {
        "en": "too slow: {sync_ms} ms until something is really on it ({free_mb} MB free): exchange the card",
        "zh": "写入太慢：{sync_ms} 毫秒（剩余 {free_mb} MB）：请更换存储卡",
    },
    "disk_full": {
        "en": "full: {free_mb} MB are free (written in {sync_ms} ms)",
        "zh": "已满：剩余 {free_mb} MB（写入需 {sync_ms} 毫秒）",
    },
    "disk_fault": {
        "en": "a press cannot be kept over a power cut: {why}",
        "zh": "断电后呼叫无法恢复：{why}",
    },
}


def words(finding: Finding, language: str) -> str:
    """The sentence of *finding* in ``"zh"`` or ``"en"``; of a code from another version, the code itself."""
    sentence = SENTENCES.get(finding.code, {}).get(language)
    if sentence is None:
        return finding.code
    try:
        return sentence.format_map(finding.figures)
    except (KeyError, ValueError):  # another version's figures
        return f"{finding.code} {finding.figures}"
