package probe

import "time"

// Judge is the verdict on an error of [protocol.Dial] or [protocol.Handshake]
// that somebody else has met, who showed a token as auth says.
func Judge(auth Auth, url string, err error) Verdict {
	r := runner{opts: Options{Auth: auth, URL: url}.withDefaults(), now: time.Now, attempts: 1}
	r.start = r.now()
	return r.finish(r.judgeError(err))
}
