package identity

import (
	"bytes"
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/sha512"
	"math/big"
	"slices"
)

// pkcs8 is the prefix of the 32 bytes of an Ed25519 seed in PKCS #8, as Node
// and OpenSSL write it (RFC 8410, section 7).
var pkcs8 = [...]byte{0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20}

// quickPair is the key pair of a private and a public PEM block that belong
// together; false where that cannot be told quickly, and the long way has to say
// what is wrong.
//
// The long way makes the public key anew, for which crypto/ed25519 first fills a
// table: nine tenths of what a start of an image computes. A start that finds
// everything in place signs nothing, so that it would need the table for nothing
// else. Both keys are points of one curve: where the private key leads to the
// public one on its Montgomery form (X25519, RFC 7748), it does so here, too, but
// for the sign. [Identity.Sign] asks the private key alone, so that a wrong sign
// makes a signature that is refused, and no other.
func quickPair(publicPEM, privatePEM string) (ed25519.PrivateKey, bool) {
	der, err := onlyBlock(privatePEM, "PRIVATE KEY", "private key")
	if err != nil || len(der) != len(pkcs8)+ed25519.SeedSize || !bytes.HasPrefix(der, pkcs8[:]) {
		return nil, false
	}
	public, err := parsePublicPEM(publicPEM)
	if err != nil {
		return nil, false
	}
	seed := der[len(pkcs8):]
	scalar := sha512.Sum512(seed)
	key, err := ecdh.X25519().NewPrivateKey(scalar[:32])
	if err != nil || !sameButForSign(public, key.PublicKey().Bytes()) {
		return nil, false
	}
	return ed25519.PrivateKey(slices.Concat(seed, []byte(public))), true
}

// sameButForSign tells whether u is the Montgomery form of an Edwards point:
// u = (1 + y) / (1 - y) modulo 2^255 - 19, both as little-endian bytes.
func sameButForSign(edwards, montgomery []byte) bool {
	p := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 255), big.NewInt(19))
	y, u := littleEndian(edwards), littleEndian(montgomery)
	y.SetBit(y, 255, 0) // which is the sign of x
	one := big.NewInt(1)
	if y.Cmp(p) >= 0 || y.Cmp(one) == 0 {
		return false
	}
	left := new(big.Int).Sub(one, y)
	left.Mul(left, u).Mod(left, p)
	right := new(big.Int).Add(one, y)
	return left.Cmp(right.Mod(right, p)) == 0
}

func littleEndian(data []byte) *big.Int {
	reversed := slices.Clone(data)
	slices.Reverse(reversed)
	return new(big.Int).SetBytes(reversed)
}
