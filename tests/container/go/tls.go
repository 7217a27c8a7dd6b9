// Certificates that last for an hour: an issuer, and one that serves the broker and its client.
package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

type certificates struct {
	ca, certificate, key string
	roots                *x509.CertPool
	client               []tls.Certificate
}

func issue(directory string) (*certificates, error) {
	issuerKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	issuer := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "issuer"},
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	issuerText, err := x509.CreateCertificate(rand.Reader, issuer, issuer, issuerKey.Public(), issuerKey)
	if err != nil {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	subject := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "localhost"},
		NotBefore: issuer.NotBefore, NotAfter: issuer.NotAfter, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		DNSNames:    []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	text, err := x509.CreateCertificate(rand.Reader, subject, issuer, key.Public(), issuerKey)
	if err != nil {
		return nil, err
	}
	keyText, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	issued := &certificates{
		ca:          filepath.Join(directory, "ca.pem"),
		certificate: filepath.Join(directory, "server.pem"),
		key:         filepath.Join(directory, "server.key"),
		roots:       x509.NewCertPool(),
		client:      []tls.Certificate{{Certificate: [][]byte{text}, PrivateKey: key}},
	}
	issuer, err = x509.ParseCertificate(issuerText)
	if err != nil {
		return nil, err
	}
	issued.roots.AddCert(issuer)
	for path, block := range map[string]*pem.Block{
		issued.ca:          {Type: "CERTIFICATE", Bytes: issuerText},
		issued.certificate: {Type: "CERTIFICATE", Bytes: text},
		issued.key:         {Type: "PRIVATE KEY", Bytes: keyText},
	} {
		// The broker in the container is another user.
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o644); err != nil {
			return nil, err
		}
	}
	return issued, nil
}
