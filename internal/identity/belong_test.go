package identity

import (
	"crypto/ed25519"
	"testing"
	"time"
)

func TestTheQuickWayTellsWhichKeysBelongTogetherAsTheLongOneDoes(t *testing.T) {
	for range 200 {
		id, err := New(time.Now())
		if err != nil {
			t.Fatal(err)
		}
		other, err := New(time.Now())
		if err != nil {
			t.Fatal(err)
		}
		pair, ok := quickPair(id.PublicPEM(), id.PrivatePEM())
		if !ok || !pair.Equal(id.private) {
			t.Fatalf("%s: its own keys are told apart", id.DeviceID())
		}
		if _, ok := quickPair(other.PublicPEM(), id.PrivatePEM()); ok {
			t.Fatalf("%s: another one's public key is taken for its own", id.DeviceID())
		}
	}
}

func TestEachBitOfAPublicKeyButTheSignIsMissed(t *testing.T) {
	id, err := New(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for bit := range 256 {
		wrong := append(ed25519.PublicKey(nil), id.RawPublicKey()...)
		wrong[bit/8] ^= 1 << (bit % 8)
		const sign = 255 // which the first signature tells
		if _, ok := quickPair(publicPEM(wrong), id.PrivatePEM()); ok != (bit == sign) {
			t.Errorf("bit %d: %v", bit, ok)
		}
	}
}

// A public key that was read has no part in a signature.
func TestASignatureIsThePrivateKeysAlone(t *testing.T) {
	id, err := New(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	wrong := append(ed25519.PublicKey(nil), id.RawPublicKey()...)
	wrong[31] ^= 0x80
	read, err := FromRecord(DeviceID(wrong), publicPEM(wrong), id.PrivatePEM(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if read.Sign("payload") != id.Sign("payload") {
		t.Error("the sign of the public key that was read is in the signature")
	}
}
