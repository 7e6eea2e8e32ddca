"""Generation and token scores, one engine a file, all under the contract of `quagpredict.engines.contract`."""
